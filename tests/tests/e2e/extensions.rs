//! `extend` and `shutdown`, called several times at once, and with lost answers.

use std::time::Duration;

use lockattr::{Error, Guard, LockPool};
use lockattr_tests::{
    Direction, Policy, Proxy, RedisServer, Service, eventually, eventually_async,
};
use tokio::task::JoinSet;

const TTL: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_secs(60);

async fn held(server: &RedisServer, proxy: &Proxy) -> (LockPool, Guard) {
    let builder = LockPool::builder().url(server.url_at(proxy.port()));
    let pool = builder.build().await.unwrap();
    let guard = pool.lock("k").ttl(TTL).acquire().await.unwrap();
    (pool, guard)
}

/// Returns how long the server keeps the only lock.
fn left_on(server: &RedisServer) -> Duration {
    let lock = &server.locks()[0];
    let left: u64 = redis::cmd("PTTL")
        .arg(lock)
        .query(&mut server.connection())
        .unwrap();
    Duration::from_millis(left)
}

#[tokio::test]
async fn each_of_many_extensions_is_confirmed_by_the_server() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let (_pool, guard) = held(&server, &proxy).await;
    proxy.set_both(Policy::Delay(Duration::from_millis(10)));
    let mut extensions = JoinSet::new();
    for n in 0..200 {
        let lease = guard.lease().clone();
        let ttl = MINUTE + Duration::from_secs(n % 7);
        extensions.spawn(async move { lease.extend(ttl).await });
    }
    let mut is_first = true;
    while let Some(extended) = extensions.join_next().await {
        extended.unwrap().unwrap();
        if std::mem::take(&mut is_first) {
            let left = left_on(&server);
            assert!(left > MINUTE / 2, "it says Ok, and the server {left:?}");
        }
    }
    assert!(guard.lease().remaining() > MINUTE / 2);
}

#[tokio::test]
async fn a_longer_extension_under_way_is_not_shortened_by_the_next() {
    for service in Service::all() {
        let pool = service.pool().await;
        let guard = pool.lock("k").ttl(TTL).acquire().await.unwrap();
        let lease = guard.lease();
        let (longer, shorter) = tokio::join!(lease.extend(MINUTE), lease.extend(TTL));
        longer.unwrap();
        shorter.unwrap();
        assert!(lease.remaining() > MINUTE / 2);
        if let Service::Redis(server) = &service {
            assert!(left_on(server) > MINUTE / 2);
        }
    }
}

/// The first caller is gone before the answer; the second caller's answer never comes.
#[tokio::test]
async fn an_extension_whose_request_is_lost_is_not_confirmed() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let (pool, guard) = held(&server, &proxy).await;
    proxy.set(Direction::Requests, Policy::Drop);
    let given_up = tokio::time::timeout(Duration::from_millis(20), guard.lease().extend(MINUTE));
    given_up.await.unwrap_err();
    let failed = guard.lease().extend(MINUTE).await.unwrap_err();
    assert!(matches!(failed, Error::Backend { .. }), "{failed}");
    let (left, remaining) = (left_on(&server), guard.lease().remaining());
    assert!(left <= TTL && remaining <= TTL, "{left:?}, {remaining:?}");

    proxy.set(Direction::Requests, Policy::Pass);
    let renewed = pool.stats().renewed;
    eventually("it is renewed", || pool.stats().renewed > renewed + 1);
    let (left, remaining) = (left_on(&server), guard.lease().remaining());
    assert!(left <= TTL && remaining <= TTL, "{left:?}, {remaining:?}");
}

#[tokio::test]
async fn each_of_two_shutdowns_has_its_own_time_and_answer() {
    let mut server = RedisServer::start();
    let pool = LockPool::builder().url(server.url()).build().await.unwrap();
    let _guard = pool.lock("k").ttl(Service::LONG).acquire().await.unwrap();
    server.kill();
    let patient = tokio::spawn({
        let pool = pool.clone();
        async move { pool.shutdown(Service::LONG).await }
    });
    eventually_async("it is under way", || async {
        pool.lock("other").acquire().await.is_err()
    })
    .await;
    let left = pool.shutdown(Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(left, Error::Unreleased { .. }), "{left}");
    assert!(!patient.is_finished(), "its time is not over");
    server.restart();
    patient.await.unwrap().unwrap();
    pool.shutdown(Duration::ZERO).await.unwrap();
}

/// The holder returns after the pool has tried to release its lease.
#[tokio::test]
async fn a_release_after_a_shutdown_does_not_wait_for_the_ttl() {
    let mut server = RedisServer::start();
    let pool = LockPool::builder().url(server.url()).build().await.unwrap();
    let guard = pool.lock("k").ttl(Service::LONG).acquire().await.unwrap();
    server.kill();
    pool.shutdown(Duration::from_millis(50)).await.unwrap_err();
    eventually("the release has failed once", || {
        pool.stats().release_delayed == 1
    });
    guard.release().await;
}
