//! Valkey does what Redis does. `LOCKATTR_TEST_SERVER=valkey` lets all other tests run on it too.

use std::time::Duration;

use lockattr::LockPool;
use lockattr::conformance::{Conformance, Violations};
use lockattr_tests::{RedisServer, Service, eventually_async};

async fn pool(server: &RedisServer) -> LockPool {
    LockPool::builder().url(server.url()).build().await.unwrap()
}

async fn hold(pool: &LockPool) -> lockattr::Guard {
    let request = pool.lock("k").ttl(Service::LONG).wait(Service::LONG);
    request.acquire().await.unwrap()
}

#[tokio::test]
async fn it_conforms() -> Result<(), Violations> {
    let server = RedisServer::start_valkey(&[]);
    let version = server.raw(&["INFO", "server"]).unwrap();
    assert!(format!("{version:?}").contains("valkey_version:9.1.2"));
    let settings = LockPool::builder().url(server.url());
    let checks = Conformance::of(settings).ttl(Duration::from_millis(600));
    checks.check().await
}

/// A waiter asks again after three fifths of the claim window, which is longer than this test.
#[tokio::test]
async fn a_release_hands_the_lock_to_the_next_process() {
    let server = RedisServer::start_valkey(&[]);
    let settings = LockPool::builder()
        .url(server.url())
        .claim_window(Service::LONG);
    let holder = settings.clone().build().await.unwrap();
    let waiter = settings.build().await.unwrap();
    let guard = hold(&holder).await;
    let token = guard.lease().fencing_token();
    let waiting = tokio::spawn(async move { hold(&waiter).await });
    eventually_async("it waits", || async { server.keys("*#queue:k").len() == 1 }).await;
    guard.release().await;
    let next = waiting.await.unwrap();
    assert!(next.lease().fencing_token() > token);
    next.release().await;
    assert!(server.locks().is_empty());
}

#[tokio::test]
async fn a_restart_that_forgets_the_locks_is_survived() {
    let mut server = RedisServer::start_valkey(&[]);
    let (holder, other) = (pool(&server).await, pool(&server).await);
    let first = hold(&holder).await;
    server.restart();
    let second = hold(&other).await;
    assert!(first.lease().fencing_token() < second.lease().fencing_token());
    first.release().await;
    assert_eq!(server.locks().len(), 1, "the other one's");
    second.release().await;
    assert!(server.locks().is_empty());
}

#[tokio::test]
async fn a_restart_with_everything_written_down_keeps_the_locks() {
    let mut server = RedisServer::start_valkey(&["--appendonly", "yes", "--appendfsync", "always"]);
    let (holder, other) = (pool(&server).await, pool(&server).await);
    let guard = hold(&holder).await;
    server.restart();
    let once = other.lock("k").wait(Duration::from_millis(300)).acquire();
    assert!(once.await.unwrap_err().is_busy());
    guard.lease().extend(Service::LONG).await.unwrap();
    guard.release().await;
    hold(&other).await.release().await;
}

#[tokio::test]
async fn scripts_that_were_flushed_are_sent_again() {
    let server = RedisServer::start_valkey(&[]);
    let pool = pool(&server).await;
    let guard = pool.lock("held").ttl(Duration::from_millis(300)).acquire();
    let guard = guard.await.unwrap();
    let renewed = pool.stats().renewed;
    while pool.stats().renewed < renewed + 3 {
        server.raw(&["SCRIPT", "FLUSH"]).unwrap();
        hold(&pool).await.release().await;
    }
    assert_eq!(pool.stats().renewal_failed, 0);
    assert!(guard.lease().is_valid());
    guard.release().await;
}
