//! Bytes that pass, but late, in pieces, or as nonsense.

use std::time::{Duration, Instant};

use lockattr::{BackendErrorKind, LockPool};
use lockattr_tests::{Direction, Policy, Proxy, RedisServer, Service, eventually};

use super::{held, kind, pool, take_and_release};

/// Counted from the answer, the validity would be longer than the lease.
#[tokio::test]
async fn answers_that_are_late_do_not_lengthen_a_lease() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let builder = LockPool::builder()
        .url(server.url_at(proxy.port()))
        .response_timeout(Duration::from_secs(5));
    let pool = builder.build().await.unwrap();
    let ttl = Duration::from_secs(4);
    for direction in [Direction::Replies, Direction::Requests] {
        proxy.set(direction, Policy::Delay(Duration::from_millis(300)));
        let before = Instant::now();
        let guard = pool.lock("k").ttl(ttl).acquire().await.unwrap();
        let most = ttl.saturating_sub(before.elapsed());
        assert!(guard.lease().remaining() <= most, "{direction:?}");
        proxy.set_both(Policy::Pass);
        guard.release().await;
    }
    take_and_release(&pool, &server).await;
}

/// If an answer takes most of the ttl, no usable lease is left.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_comes_too_late_is_given_back() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let builder = LockPool::builder()
        .url(server.url_at(proxy.port()))
        .response_timeout(Duration::from_secs(5));
    let pool = builder.build().await.unwrap();
    take_and_release(&pool, &server).await;
    proxy.set(Direction::Replies, Policy::Stall);
    let ttl = Duration::from_millis(800);
    let acquiring = tokio::spawn(pool.lock("k").ttl(ttl).wait(Service::LONG).acquire());
    eventually("the server has granted it", || !server.locks().is_empty());
    eventually("that lease is over", || server.locks().is_empty());
    proxy.set(Direction::Replies, Policy::Pass);
    let guard = acquiring.await.unwrap().unwrap();
    assert!(guard.lease().remaining() >= ttl / 4, "{guard:?}");
    guard.release().await;
    eventually("nothing is left", || server.locks().is_empty());
}

#[tokio::test]
async fn bytes_that_come_one_at_a_time_or_all_at_once() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let pool = pool(server.url_at(proxy.port())).await;
    for policy in [Policy::Drip, Policy::Stall] {
        for direction in [Direction::Requests, Direction::Replies] {
            proxy.set(direction, policy);
            let all: Vec<_> = (0..100)
                .map(|n| pool.lock(format!("k:{n}")).wait(Service::LONG).acquire())
                .map(tokio::spawn)
                .collect();
            if policy == Policy::Stall {
                proxy.set(direction, Policy::Pass);
            }
            for acquired in all {
                acquired.await.unwrap().unwrap().release().await;
            }
            proxy.set_both(Policy::Pass);
        }
    }
    eventually("nothing is left", || server.locks().is_empty());
}

#[tokio::test]
async fn answers_that_make_no_sense() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let pool = pool(server.url_at(proxy.port())).await;
    let guard = held(&pool, Service::LONG).await;
    proxy.set(Direction::Replies, Policy::Garble);
    let failed = pool
        .lock("k")
        .ttl(Service::LONG)
        .wait(Duration::from_millis(300))
        .acquire()
        .await
        .unwrap_err();
    assert!(
        matches!(
            kind(&failed),
            Some(
                BackendErrorKind::Malformed
                    | BackendErrorKind::Timeout
                    | BackendErrorKind::Unreachable
            )
        ),
        "{failed}"
    );
    proxy.set(Direction::Replies, Policy::Pass);
    assert!(guard.lease().is_valid());
    guard.release().await;
    take_and_release(&pool, &server).await;
}

#[tokio::test]
async fn questions_that_make_no_sense() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let pool = pool(server.url_at(proxy.port())).await;
    proxy.set(Direction::Requests, Policy::Garble);
    let short = pool.lock("k").wait(Duration::from_millis(300)).acquire();
    let failed = short.await.unwrap_err();
    assert!(kind(&failed).is_some(), "{failed}");
    proxy.set(Direction::Requests, Policy::Pass);
    proxy.cut();
    take_and_release(&pool, &server).await;
}
