//! Looking at locks, and taking them away, where there are several servers.

use std::collections::BTreeMap;
use std::time::Duration;

use lockattr::{Error, Guard, LockPool};
use lockattr_tests::{Quorum, RedisCluster, RedisServer, Service, Twemproxy, eventually_async};

async fn pool(url: impl AsRef<str>) -> LockPool {
    LockPool::builder().url(url).build().await.unwrap()
}

fn cluster() -> RedisCluster {
    let cluster = RedisCluster::start(3, 0);
    let nodes = cluster.nodes().iter();
    nodes.for_each(RedisServer::allow_inspection);
    cluster
}

async fn hold(pool: &LockPool, key: &str) -> Guard {
    let request = pool.lock(key).ttl(Service::LONG).wait(Service::LONG);
    request.acquire().await.unwrap()
}

/// How often each key is listed.
async fn list(pool: &LockPool, prefix: &str) -> Result<BTreeMap<String, usize>, Error> {
    let (mut holders, mut found) = (pool.holders(prefix), BTreeMap::new());
    while let Some(page) = holders.next_page().await? {
        for holder in page {
            *found.entry(holder.key.to_string()).or_default() += 1;
        }
    }
    Ok(found)
}

async fn takes_away(pool: &LockPool, other: &LockPool) {
    let stuck = hold(pool, "job").await;
    let request = other.lock("job").ttl(Service::LONG).wait(Service::LONG);
    let waiting = tokio::spawn(async move { request.acquire().await.unwrap() });
    eventually_async("it waits", || async {
        pool.holder("job")
            .await
            .unwrap()
            .is_some_and(|holder| holder.waiters == 1)
    })
    .await;
    let queue = pool.queue("job", 9).await.unwrap();
    let waiters: Vec<&str> = queue.waiters.iter().map(|it| &*it.who).collect();
    assert!(
        matches!(waiters[..], [who] if who.contains("inspection.rs:")),
        "{queue:?}"
    );
    let holder = pool.holder("job").await.unwrap().unwrap();
    let token = stuck.lease().fencing_token();
    assert!(
        holder.fencing_token.is_none_or(|seen| seen == token),
        "{holder:?}"
    );
    assert!(pool.force_release("job").await.unwrap());
    let next = waiting.await.unwrap();
    assert!(next.lease().fencing_token() > stuck.lease().fencing_token());
    next.release().await;
    stuck.release().await;
    assert!(!pool.is_locked("job").await.unwrap());
    assert!(!pool.force_release("job").await.unwrap());
}

async fn held_by(pool: &LockPool, count: usize) -> Vec<Guard> {
    let mut guards = Vec::new();
    for id in 0..count {
        guards.push(hold(pool, &format!("order:{id}")).await);
    }
    guards
}

#[tokio::test]
async fn all_nodes_of_a_cluster_are_asked() {
    let cluster = cluster();
    let (one, other) = (pool(cluster.url()).await, pool(cluster.url()).await);
    let guards = held_by(&one, 60).await;
    let _cart = hold(&one, "cart:1").await;
    let found = list(&other, "order:").await.unwrap();
    assert_eq!(found.len(), guards.len());
    assert!(found.values().all(|times| *times == 1), "{found:?}");
    for guard in &guards {
        let holder = other.holder(guard.key()).await.unwrap().unwrap();
        assert_eq!(holder.fencing_token, Some(guard.lease().fencing_token()));
    }
    takes_away(&one, &other).await;
    for node in cluster.nodes() {
        let log = node.raw(&["ACL", "LOG"]).unwrap();
        assert_eq!(log, redis::Value::Array(Vec::new()), "nothing was refused");
    }
}

/// The pool does not know yet where the lock is.
#[tokio::test]
async fn a_lock_is_found_where_its_slot_has_gone() {
    let cluster = cluster();
    let (one, other) = (pool(cluster.url()).await, pool(cluster.url()).await);
    let guard = hold(&one, "order:1").await;
    let (slot, from) = cluster.owner(&cluster.locks()[0]);
    let to = (from + 1) % 3;
    let token = Some(guard.lease().fencing_token());
    let found = async || {
        let holder = other.holder("order:1").await.unwrap();
        holder.map(|holder| holder.fencing_token)
    };
    cluster.begin_migration(slot, from, to);
    cluster.move_keys(slot, from, to);
    assert_eq!(found().await, Some(token), "the slot is moving");
    cluster.end_migration(slot, to);
    assert_eq!(found().await, Some(token), "the slot has moved");
    assert!(other.force_release("order:1").await.unwrap());
    assert_eq!(found().await, None);
}

#[tokio::test]
async fn a_quorum_names_who_a_majority_names() {
    let mut servers = Quorum::start(3);
    servers.nodes.iter().for_each(RedisServer::allow_inspection);
    let (one, other) = (pool(servers.url()).await, pool(servers.url()).await);
    takes_away(&one, &other).await;
    let guards = held_by(&one, 12).await;
    let is_whole = |found: &BTreeMap<String, usize>| {
        found.len() == guards.len() && found.values().all(|times| *times == 1)
    };
    let found = list(&other, "order:").await.unwrap();
    assert!(is_whole(&found), "{found:?}");
    // One server may be away.
    servers.nodes[0].kill();
    eventually_async("the others suffice", || async {
        list(&other, "order:")
            .await
            .is_ok_and(|found| is_whole(&found))
    })
    .await;
    servers.nodes[1].kill();
    let error = other.holder("order:1").await.unwrap_err().to_string();
    assert!(error.contains("no majority"), "{error}");
}

/// It passes scripts on, each with the name of one key.
#[tokio::test]
async fn a_proxy_is_asked_for_single_keys() {
    let server = RedisServer::start();
    let proxy = Twemproxy::start(&[&server]);
    let pool = pool(proxy.url()).await;
    let guard = hold(&pool, "order:1").await;
    let holder = pool.holder("order:1").await.unwrap().unwrap();
    assert_eq!(holder.fencing_token, Some(guard.lease().fencing_token()));
    let refused = list(&pool, "order:").await.unwrap_err().to_string();
    assert!(refused.contains("a proxy passes no SCAN on"), "{refused}");
    assert!(pool.force_release("order:1").await.unwrap());
    assert!(!pool.is_locked("order:1").await.unwrap());
    guard.release().await;
}

/// A page of a server that is gone can be asked for again.
#[tokio::test]
async fn a_listing_goes_on_after_a_failure() {
    let mut server = RedisServer::start();
    server.allow_inspection();
    let timeout = Duration::from_millis(300);
    let builder = LockPool::builder()
        .url(server.url())
        .response_timeout(timeout);
    let pool = builder.build().await.unwrap();
    let mut holders = pool.holders("");
    server.kill();
    let failed = holders.next_page().await.unwrap_err();
    assert!(matches!(failed, Error::Inspection { .. }), "{failed}");
    server.restart();
    server.allow_inspection();
    let guard = hold(&pool, "order:1").await;
    let page = holders.next_page().await.unwrap().unwrap();
    assert_eq!(page[0].fencing_token, Some(guard.lease().fencing_token()));
    assert_eq!(holders.next_page().await.unwrap(), None);
}
