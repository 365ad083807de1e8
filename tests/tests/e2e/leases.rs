//! Renewal, loss, extension and the end of a pool, against real services.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lockattr::{Error, LossReason, OnLost, Wait};
use lockattr_tests::{Policy, Proxy, RedisServer, Service, eventually_async};

const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn renewal_goes_on_while_the_runtime_is_blocked() {
    for service in Service::all() {
        let pool = service.pool().await;
        let guard = pool.lock("k").ttl(SHORT).acquire().await.unwrap();
        std::thread::sleep(SHORT * 3);
        assert!(guard.lease().is_valid());
        assert!(!service.is_free("k").await);
        guard.release().await;
        assert!(service.is_free("k").await);
    }
}

#[tokio::test]
async fn without_renewal_the_lease_ends_and_the_body_with_it() {
    for service in Service::all() {
        let (pool, other) = (service.pool().await, service.pool().await);
        let lost = pool
            .lock("k")
            .ttl(SHORT)
            .renew(false)
            .run(|_| pending::<()>())
            .await
            .unwrap_err();
        assert!(
            matches!(
                lost,
                Error::Lost {
                    reason: LossReason::Expired,
                    ..
                }
            ),
            "{lost}"
        );
        other
            .lock("k")
            .wait(Service::LONG)
            .acquire()
            .await
            .unwrap()
            .release()
            .await;
    }
}

#[tokio::test]
async fn max_hold_ends_it_although_renewal_works() {
    for service in Service::all() {
        let pool = service.pool().await;
        let lost = pool
            .lock("k")
            .ttl(SHORT)
            .max_hold(SHORT * 2)
            .run(|_| pending::<()>())
            .await
            .unwrap_err();
        assert!(
            matches!(
                lost,
                Error::Lost {
                    reason: LossReason::MaxHold,
                    ..
                }
            ),
            "{lost}"
        );
        service.becomes_free("k").await;
    }
}

/// Records when a body's locals are dropped.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_lock_that_is_deleted_is_lost_at_the_next_renewal() {
    let server = RedisServer::start();
    let pool = lockattr::LockPool::builder()
        .url(server.url())
        .build()
        .await
        .unwrap();
    let dropped = Arc::new(AtomicBool::new(false));
    let lost = pool
        .lock("k")
        .ttl(SHORT)
        .run(|_| async {
            let _dropped = Dropped(Arc::clone(&dropped));
            redis::cmd("FLUSHALL")
                .exec(&mut server.connection())
                .unwrap();
            pending::<()>().await;
        })
        .await
        .unwrap_err();
    assert!(
        matches!(
            lost,
            Error::Lost {
                reason: LossReason::Gone,
                ..
            }
        ),
        "{lost}"
    );
    assert!(
        dropped.load(Ordering::SeqCst),
        "the body is gone before the caller gets the error"
    );
}

#[tokio::test]
async fn on_lost_finish_lets_the_body_run_and_tells_it() {
    let server = RedisServer::start();
    let pool = lockattr::LockPool::builder()
        .url(server.url())
        .build()
        .await
        .unwrap();
    let heard = pool
        .lock("k")
        .ttl(SHORT)
        .on_lost(OnLost::Finish)
        .run(|lease| async move {
            redis::cmd("FLUSHALL")
                .exec(&mut server.connection())
                .unwrap();
            lease.lost().await
        })
        .await
        .unwrap();
    assert_eq!(heard, LossReason::Gone);
    assert_eq!(pool.stats().finished_after_loss, 1);
}

#[tokio::test]
async fn the_body_ends_with_the_lease_when_the_server_falls_silent() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let pool = lockattr::LockPool::builder()
        .url(server.url_at(proxy.port()))
        .build()
        .await
        .unwrap();
    let lost = pool
        .lock("k")
        .ttl(SHORT)
        .run(|lease| {
            proxy.set_both(Policy::Drop);
            async move {
                lease.lost().await;
                pending::<()>().await;
            }
        })
        .await
        .unwrap_err();
    assert!(
        matches!(
            lost,
            Error::Lost {
                reason: LossReason::Expired,
                ..
            }
        ),
        "{lost}"
    );
    assert!(pool.stats().renewal_failed > 0);
}

#[tokio::test]
async fn a_lease_is_extended_and_never_shortened() {
    for service in Service::all() {
        let pool = service.pool().await;
        let guard = pool
            .lock("k")
            .ttl(SHORT)
            .renew(false)
            .acquire()
            .await
            .unwrap();
        guard.lease().extend(Service::LONG).await.unwrap();
        assert!(guard.lease().remaining() > SHORT * 10);
        guard.lease().extend(SHORT).await.unwrap();
        assert!(guard.lease().remaining() > SHORT * 10);
        let wrong = guard
            .lease()
            .extend(Duration::from_millis(1))
            .await
            .unwrap_err();
        assert!(
            matches!(wrong, Error::Config { setting: "ttl", .. }),
            "{wrong}"
        );
        let lease = guard.lease().clone();
        guard.release().await;
        let lost = lease.extend(SHORT).await.unwrap_err();
        assert!(
            matches!(
                lost,
                Error::Lost {
                    reason: LossReason::Released,
                    ..
                }
            ),
            "{lost}"
        );
        assert_eq!(lease.lost().await, LossReason::Released);
    }
}

#[tokio::test]
async fn an_extension_that_fails_does_not_unlock() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let pool = lockattr::LockPool::builder()
        .url(server.url_at(proxy.port()))
        .build()
        .await
        .unwrap();
    let guard = pool.lock("k").ttl(Service::LONG).acquire().await.unwrap();
    proxy.refuse(true);
    proxy.cut();
    let failed = guard.lease().extend(Service::LONG).await.unwrap_err();
    assert!(matches!(failed, Error::Backend { .. }), "{failed}");
    assert!(guard.lease().is_valid());
    assert_eq!(server.locks().len(), 1);
}

#[tokio::test]
async fn tokens_grow_also_when_the_server_forgets() {
    for service in Service::all() {
        let mut last = 0;
        for round in 0..4 {
            let guard = service.pool().await.lock("k").acquire().await.unwrap();
            assert!(guard.lease().fencing_token() > last);
            last = guard.lease().fencing_token();
            guard.release().await;
            if let (Service::Redis(server), 2) = (&service, round) {
                redis::cmd("FLUSHALL")
                    .exec(&mut server.connection())
                    .unwrap();
            }
        }
    }
}

#[tokio::test]
async fn shutdown_releases_held_locks_and_fails_waiting_calls() {
    for service in Service::all() {
        let pool = service.pool().await;
        let guard = pool.lock("a").ttl(Service::LONG).acquire().await.unwrap();
        let body = tokio::spawn({
            let pool = pool.clone();
            async move {
                pool.lock("b")
                    .ttl(Service::LONG)
                    .run(|_| pending::<()>())
                    .await
            }
        });
        eventually_async("the body runs", || async { !service.is_free("b").await }).await;
        let waiting = tokio::spawn(pool.lock("a").wait(Wait::Forever).acquire());
        eventually_async("a call waits", || async { pool.stats().waited == 1 }).await;

        pool.shutdown(Duration::from_secs(10)).await.unwrap();
        let (a, b) = (service.is_free("a").await, service.is_free("b").await);
        assert!(a && b);
        assert!(!guard.lease().is_valid());
        assert!(matches!(
            body.await.unwrap().unwrap_err(),
            Error::Lost {
                reason: LossReason::Shutdown,
                ..
            }
        ));
        assert!(matches!(waiting.await.unwrap().unwrap_err(), Error::Closed));
        assert!(matches!(
            pool.lock("c").acquire().await.unwrap_err(),
            Error::Closed
        ));
    }
}

#[tokio::test]
async fn shutdown_gives_up_on_a_server_that_is_gone() {
    let mut server = RedisServer::start();
    let pool = lockattr::LockPool::builder()
        .url(server.url())
        .build()
        .await
        .unwrap();
    let _guard = pool.lock("a").ttl(Service::LONG).acquire().await.unwrap();
    server.kill();
    let left = pool.shutdown(Duration::from_millis(100)).await.unwrap_err();
    assert!(
        matches!(left, Error::Unreleased { leases: 1, .. }),
        "{left}"
    );
}

#[tokio::test]
async fn waiters_are_served_in_turn() {
    for service in Service::all() {
        let pool = service.pool().await;
        let guard = pool.lock("k").acquire().await.unwrap();
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let mut waiters = Vec::new();
        for n in 0..10 {
            let (pool, order) = (pool.clone(), Arc::clone(&order));
            let before = pool.stats().waited;
            let watched = pool.clone();
            waiters.push(tokio::spawn(async move {
                pool.lock("k")
                    .wait(Service::LONG)
                    .run(|_| async { order.lock().unwrap().push(n) })
                    .await
            }));
            eventually_async("it queues", || async { watched.stats().waited > before }).await;
        }
        guard.release().await;
        for waiter in waiters {
            waiter.await.unwrap().unwrap();
        }
        assert_eq!(*order.lock().unwrap(), (0..10).collect::<Vec<_>>());
    }
}
