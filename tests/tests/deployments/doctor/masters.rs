//! Deployments with several masters, or with one that changes.

use super::*;

fn may_read(servers: &[RedisServer]) {
    for server in servers {
        let rights = ["ACL", "SETUSER", "locker", "+info", "+config|get"];
        server.raw(&rights).unwrap();
    }
}

#[tokio::test]
async fn each_master_of_a_cluster_is_examined() {
    let cluster = RedisCluster::start(3, 0);
    may_read(cluster.nodes());
    let pool = pool(cluster.url()).await;
    let found = examine(&pool).await;
    assert!(
        found.deployment().starts_with("a cluster of 3 masters"),
        "{found}"
    );
    let policy = |found: &Diagnosis| -> Vec<Finding> {
        let findings = found.findings().iter();
        findings
            .filter(|it| it.topic == Topic::Eviction)
            .cloned()
            .collect()
    };
    assert_eq!(policy(&found).len(), 1, "said once for all of them");
    expect(
        &worst(&pool, Topic::Cluster).await,
        Severity::Good,
        "all slots",
    );
    expect(
        &worst(&pool, Topic::Replication).await,
        Severity::Warning,
        "nothing takes over",
    );

    set(&cluster.nodes()[1], "maxmemory-policy", "allkeys-lru");
    let policies = policy(&examine(&pool).await);
    assert_eq!(policies.len(), 3, "{policies:?}");
    let port = cluster.nodes()[1].port().to_string();
    expect(&policies[0], Severity::Warning, &port);

    let slots = ["CLUSTER", "DELSLOTS", "1", "2"];
    cluster.nodes()[0].raw(&slots).unwrap();
    expect(
        &worst(&pool, Topic::Cluster).await,
        Severity::Broken,
        "slots",
    );
}

#[tokio::test]
async fn the_master_behind_sentinel_is_examined() {
    let deployment = Sentinels::start();
    may_read(&deployment.nodes);
    let pool = pool(deployment.url()).await;
    let found = examine(&pool).await;
    assert!(found.deployment().contains("Sentinel"), "{found}");
    let port = deployment.nodes[0].port().to_string();
    let replication = found
        .findings()
        .iter()
        .filter(|it| it.topic == Topic::Replication);
    let said: Vec<String> = replication.map(ToString::to_string).collect();
    assert!(said.iter().all(|text| text.contains(&port)), "{said:?}");
    assert!(
        said.iter()
            .any(|text| text.contains("min-replicas-to-write is 0")),
        "{said:?}"
    );
    for node in &deployment.nodes {
        set(node, "min-replicas-to-write", "1");
    }
    let found = examine(&pool).await.to_string();
    assert!(
        !found.contains("is 0") && found.contains("refuses every write"),
        "{found}"
    );
}
