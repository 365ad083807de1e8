//! `min_hold`: others are kept out also after a fast job.

use std::time::{Duration, Instant};

use lockattr::{LockPool, LockRequest};
use lockattr_tests::{Quorum, Service};

const LEAST: Duration = Duration::from_millis(600);

/// Takes the lock in a pool that ends right after, and measures when another pool has it.
async fn kept_for(
    first: LockPool,
    second: LockPool,
    request: impl Fn(&LockPool) -> LockRequest,
) -> Duration {
    let asked_at = Instant::now();
    let guard = request(&first).min_hold(LEAST).acquire().await.unwrap();
    guard.release().await;
    assert!(asked_at.elapsed() < LEAST, "the caller returns at once");
    first.shutdown(Service::LONG).await.unwrap();
    let next = request(&second)
        .wait(Service::LONG)
        .acquire()
        .await
        .unwrap();
    let kept = asked_at.elapsed();
    next.release().await;
    kept
}

#[tokio::test]
async fn others_are_kept_out_and_no_longer() {
    for service in Service::all() {
        let requests: [fn(&LockPool) -> LockRequest; 2] = [
            |pool| pool.lock("job").ttl(Service::LONG),
            |pool| pool.lock("slots").ttl(Service::LONG).permits(1),
        ];
        for request in requests {
            let (first, second) = (service.pool().await, service.pool().await);
            let kept = kept_for(first, second, request).await;
            assert!(kept >= LEAST, "{kept:?}");
        }
        assert!(service.is_free("job").await && service.is_free("slots").await);
    }
}

#[tokio::test]
async fn a_quorum_keeps_others_out_too() {
    let servers = Quorum::start(3);
    let build = || LockPool::builder().url(servers.url()).build();
    let (first, second) = (build().await.unwrap(), build().await.unwrap());
    let kept = kept_for(first, second, |pool| pool.lock("job").ttl(Service::LONG)).await;
    assert!(kept >= LEAST, "{kept:?}");
}

/// The lock is renewed for as long as the job runs, whatever its ttl is.
#[tokio::test]
async fn it_may_be_longer_than_the_ttl() {
    for service in Service::all() {
        let (first, second) = (service.pool().await, service.pool().await);
        let short = |pool: &LockPool| pool.lock("job").ttl(LEAST / 4);
        let kept = kept_for(first, second, short).await;
        assert!(kept >= LEAST, "{kept:?}");
    }
}

/// Also the next call of the same process.
#[tokio::test]
async fn a_long_job_keeps_nobody_out_after_its_end() {
    for service in Service::all() {
        let pool = service.pool().await;
        let request = pool.lock("job").ttl(Service::LONG).min_hold(LEAST);
        let guard = request.clone().acquire().await.unwrap();
        tokio::time::sleep(LEAST).await;
        guard.release().await;
        let once = pool
            .lock("job")
            .ttl(Service::LONG)
            .try_acquire()
            .await
            .unwrap();
        once.expect("it is free").release().await;
        request.acquire().await.unwrap().release().await;
        assert!(pool.lock("job").try_acquire().await.unwrap().is_none());
    }
}
