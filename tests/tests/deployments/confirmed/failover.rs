//! A master is lost, and its only replica takes its place.

use std::time::Duration;

use lockattr::{LockPool, LockPoolBuilder, RedisOptions};
use lockattr_tests::replicated::{CONFIRM_RIGHTS, may_confirm, online};
use lockattr_tests::{Sentinels, Service, eventually, eventually_async};

use super::unconfirmed;

fn start() -> Sentinels {
    let deployment = Sentinels::start();
    for node in &deployment.nodes {
        may_confirm(node, &[CONFIRM_RIGHTS]);
    }
    deployment
}

fn builder(deployment: &Sentinels, replicas: u8) -> LockPoolBuilder {
    let options = RedisOptions::new().confirm_replicas(replicas);
    LockPool::builder().url(deployment.url()).redis(options)
}

/// Restarts the first node as a replica of the second.
fn comes_back(deployment: &mut Sentinels) {
    let port = deployment.nodes[1].port().to_string();
    deployment.nodes[0].restart();
    deployment.nodes[0]
        .raw(&["REPLICAOF", "127.0.0.1", &port])
        .unwrap();
    eventually("it follows", || online(&deployment.nodes[1]) == 1);
}

#[tokio::test]
async fn a_lease_survives_the_master() {
    let mut deployment = start();
    let old = deployment.nodes[0].port();
    let pool = builder(&deployment, 1).build().await.unwrap();
    let held = pool.lock("k").ttl(Service::LONG).acquire().await.unwrap();
    deployment.nodes[0].kill();
    assert_eq!(deployment.new_master(old, &[0, 1, 2]), 1);
    assert_eq!(deployment.nodes[1].locks().len(), 1);
    let other = builder(&deployment, 0).build().await.unwrap();
    assert!(other.lock("k").try_acquire().await.unwrap().is_none());
    // Without a replica the new master can confirm nothing.
    let once = pool.lock("other").wait(Duration::ZERO).acquire().await;
    assert_eq!(unconfirmed(&once.unwrap_err()), (0, 1));
    comes_back(&mut deployment);
    // The sentinels may let it follow once more.
    eventually_async("it confirms", || async {
        held.lease().extend(Service::LONG).await.is_ok()
    })
    .await;
    held.release().await;
    let next = other.lock("k").acquire().await.unwrap();
    next.release().await;
}

/// A master that is cut off from its replica and sentinels, and still answers the pool.
#[tokio::test]
async fn an_isolated_master_grants_nothing() {
    let deployment = start();
    let old = deployment.nodes[0].port();
    let pool = builder(&deployment, 1).build().await.unwrap();
    let held = pool.lock("k").ttl(Service::LONG).acquire().await.unwrap();
    deployment.isolate(0);
    let once = pool.lock("new").wait(Duration::ZERO).acquire().await;
    assert_eq!(unconfirmed(&once.unwrap_err()), (0, 1));
    // By now the sentinels may have named the other one, which has no replica either.
    held.lease().extend(Service::LONG).await.unwrap_err();
    assert_eq!(deployment.new_master(old, &[0, 1, 2]), 1);
    let other = builder(&deployment, 0).build().await.unwrap();
    assert!(other.lock("k").try_acquire().await.unwrap().is_none());
    assert!(held.lease().is_valid());
}
