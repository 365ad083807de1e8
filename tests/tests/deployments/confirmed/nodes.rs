//! Redis Cluster: the node of the key asks its own replicas.

use std::time::Duration;

use lockattr::conformance::{Conformance, Violations};
use lockattr::{Finding, LockPool, LockPoolBuilder, RedisOptions, Topic};
use lockattr_tests::replicated::{CONFIRM_RIGHTS, may_confirm};
use lockattr_tests::{RedisCluster, eventually, eventually_async};

use super::{take, unconfirmed};

fn start(masters: usize, replicas: usize) -> RedisCluster {
    let cluster = RedisCluster::start(masters, replicas);
    for node in cluster.nodes() {
        may_confirm(node, &[CONFIRM_RIGHTS]);
    }
    cluster
}

fn builder(cluster: &RedisCluster) -> LockPoolBuilder {
    let options = RedisOptions::new().confirm_replicas(1);
    LockPool::builder().url(cluster.url()).redis(options)
}

#[tokio::test]
async fn it_conforms() -> Result<(), Violations> {
    let cluster = start(3, 1);
    let checks = Conformance::of(builder(&cluster)).confirm_replicas(1);
    checks.ttl(Duration::from_millis(600)).check().await
}

/// Not by the connections that wait for confirmations too.
#[tokio::test]
async fn each_master_is_examined_once() {
    let cluster = start(3, 1);
    let pool = builder(&cluster).build().await.unwrap();
    let found = lockattr::doctor(&pool).await.unwrap();
    assert!(
        found.deployment().starts_with("a cluster of 3 masters"),
        "{found}"
    );
    let is_about = |finding: &&Finding| finding.topic == Topic::Deployment;
    let unasked: Vec<_> = found.findings().iter().filter(is_about).collect();
    assert!(unasked.is_empty(), "{found}");
}

#[tokio::test]
async fn a_node_without_its_replica_grants_nothing_and_the_others_do() {
    let cluster = start(3, 1);
    let pool = builder(&cluster).build().await.unwrap();
    // The node of each key.
    let mut keys = Vec::new();
    for number in 0..30 {
        let key = format!("order:{number}");
        let guard = pool.lock(&*key).acquire().await.unwrap();
        let (_, node) = cluster.owner(&cluster.locks()[0]);
        guard.release().await;
        keys.push((key, node));
    }
    assert!((0..3).all(|n| keys.iter().any(|(_, node)| *node == n)));
    cluster.nodes()[cluster.partner(0)].pause();
    for (key, node) in keys {
        if node == 0 {
            let once = pool.lock(&*key).wait(Duration::ZERO).acquire().await;
            assert_eq!(unconfirmed(&once.unwrap_err()), (0, 1));
        } else {
            take(&pool, &key).await;
        }
    }
    eventually("what was granted is given back", || {
        cluster.locks().is_empty()
    });
}

/// Renewals are confirmed by the node that has the lock: before, while and after it moves.
#[tokio::test]
async fn a_held_lock_survives_its_slot_s_move() {
    let cluster = start(2, 1);
    let pool = builder(&cluster).build().await.unwrap();
    let ttl = Duration::from_millis(1500);
    let guard = pool.lock("order:42").ttl(ttl).acquire().await.unwrap();
    let name = cluster.locks().remove(0);
    let (slot, from) = cluster.owner(&name);
    let to = 1 - from;
    let is_renewed = async |when: &str| {
        let renewed = pool.stats().renewed;
        eventually_async(when, || async { pool.stats().renewed > renewed }).await;
    };
    cluster.begin_migration(slot, from, to);
    is_renewed("renewed while it moves").await;
    cluster.move_keys(slot, from, to);
    is_renewed("renewed where it went").await;
    cluster.end_migration(slot, to);
    is_renewed("renewed after it").await;
    assert!(guard.lease().is_valid());
    guard.release().await;
    assert!(cluster.locks().is_empty());
}

/// The replica of a master that is killed has its confirmed leases.
#[tokio::test]
async fn a_lease_survives_its_node() {
    let mut cluster = start(3, 1);
    let pool = builder(&cluster).build().await.unwrap();
    let held = pool.lock("k").ttl(Duration::from_secs(600));
    let held = held.acquire().await.unwrap();
    let (_, node) = cluster.owner(&cluster.locks()[0]);
    cluster.node_mut(node).kill();
    let replica = cluster.partner(node);
    cluster.becomes_master(replica);
    assert_eq!(cluster.nodes()[replica].locks().len(), 1);
    assert!(held.lease().is_valid());
}
