//! Calls that lock several keys: all or none, without deadlock, and with nothing left behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use lockattr::{Error, LockPool, LossReason, OnLost, Wait, assert_held, key};
use lockattr_tests::{Proxy, RedisServer, Service, eventually, eventually_async};
use tokio::task::yield_now;

async fn pool() -> LockPool {
    LockPool::memory().await.expect("a thread can be started")
}

/// An account of a bank that trusts the locks: what a transfer reads is still true when it writes.
#[derive(Default)]
struct Account {
    balance: AtomicI64,
    is_in_use: AtomicBool,
}

impl Account {
    fn take(&self) -> i64 {
        assert!(!self.is_in_use.swap(true, SeqCst), "two are at work");
        self.balance.load(SeqCst)
    }

    fn put(&self, balance: i64) {
        self.balance.store(balance, SeqCst);
        self.is_in_use.store(false, SeqCst);
    }
}

const TASKS: u64 = 16;
const ACCOUNTS: usize = 4;

/// Lets tasks of several pools, which play the role of processes, transfer in all directions.
async fn transfer(service: &Service, transfers: u64) {
    let accounts: Arc<[Account; ACCOUNTS]> = Arc::default();
    let pools = [service.pool().await, service.pool().await];
    let tasks: Vec<_> = (0..TASKS)
        .zip(pools.iter().cycle())
        .map(|(task, pool)| {
            let (accounts, pool) = (Arc::clone(&accounts), pool.clone());
            let mut random = fastrand::Rng::with_seed(task);
            tokio::spawn(async move {
                for _ in 0..transfers / TASKS {
                    let from = random.usize(..ACCOUNTS);
                    let to = (from + random.usize(1..ACCOUNTS)) % ACCOUNTS;
                    let keys = [from, to].map(|id| key!("account:{id}"));
                    let request = pool.lock_all(keys).wait(Wait::Forever);
                    let transferred = request.run(async |_| {
                        let (giver, taker) = (accounts[from].take(), accounts[to].take());
                        yield_now().await;
                        accounts[from].put(giver - 1);
                        accounts[to].put(taker + 1);
                    });
                    transferred.await.expect("it waits for ever");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no two are at work on an account");
    }
    let sum: i64 = accounts.iter().map(|it| it.balance.load(SeqCst)).sum();
    assert_eq!(sum, 0);
    for id in 0..ACCOUNTS {
        service.becomes_free(&format!("account:{id}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_in_all_directions_all_finish() {
    let [redis, memory] = Service::all();
    transfer(&memory, 2000).await;
    transfer(&redis, 2000).await;
}

/// In step with each other, which is where calls that only ever wait for the busy key would go on for
/// ever.
#[tokio::test]
async fn two_calls_in_step_both_finish() {
    for service in Service::all() {
        let (one, other) = (service.pool().await, service.pool().await);
        for _ in 0..100 {
            let first = one.lock_all(["a", "b"]).wait(Wait::Forever);
            let second = other.lock_all(["b", "a"]).wait(Wait::Forever);
            let (first, second) = tokio::join!(
                async { first.await.expect("it waits").release().await },
                async { second.await.expect("it waits").release().await }
            );
            assert_eq!((first, second), (None, None));
        }
    }
}

#[tokio::test]
async fn a_lease_knows_each_of_its_keys() {
    for service in Service::all() {
        let pool = service.pool().await;
        let before = pool.lock("b").await.expect("it is free");
        let token = before.fencing_token();
        before.release().await;
        let guard = pool.lock_all(["b", "a", "b"]).await.expect("both are free");
        assert!(guard.keys().eq(["a", "b"]));
        assert_eq!(guard.key(), "a");
        assert_eq!(guard.token_of("a"), Some(guard.fencing_token()));
        assert!(guard.token_of("b") > Some(token));
        assert_eq!(guard.token_of("c"), None);
        assert!(guard.is_valid() && guard.remaining() > Duration::from_secs(1));
        guard
            .extend(Duration::from_secs(100))
            .await
            .expect("both last");
        assert!(guard.remaining() > Duration::from_secs(90));
        assert!(!service.is_free("a").await && !service.is_free("b").await);
        let lease = guard.lease().clone();
        guard.release().await;
        assert!(service.is_free("a").await && service.is_free("b").await);
        assert!(!lease.is_valid());
        assert_eq!(lease.lost().await, LossReason::Released);

        drop(pool.lock_all(["b", "a"]).await.expect("both are free"));
        service.becomes_free("a").await;
        service.becomes_free("b").await;
    }
}

#[tokio::test]
async fn what_is_free_is_not_kept_while_another_key_is_busy() {
    for service in Service::all() {
        let (pool, other) = (service.pool().await, service.pool().await);
        let held = other.lock("b").await.expect("it is free");
        let busy = pool.lock_all(["a", "b", "c"]).wait(Duration::ZERO).await;
        let busy = busy.unwrap_err();
        assert!(busy.is_busy() && busy.key() == Some("b"), "{busy}");
        service.becomes_free("a").await;

        let before = pool.stats().waited;
        let waits = tokio::spawn(pool.lock_all(["a", "b", "c"]).into_future());
        eventually_async("it waits for b", async || pool.stats().waited > before).await;
        service.becomes_free("a").await;
        service.becomes_free("c").await;
        held.release().await;
        let guard = waits.await.expect("no panic").expect("b is free now");
        assert!(guard.keys().eq(["a", "b", "c"]));
        guard.release().await;
    }
}

#[tokio::test]
async fn the_wait_is_over_for_all_rounds_together() {
    let pool = pool().await;
    let _held = pool.lock("b").await.expect("it is free");
    let wait = Duration::from_millis(60);
    let busy = pool.lock_all(["a", "b"]).wait(wait).await.unwrap_err();
    let Error::Busy { waited, .. } = busy else {
        panic!("{busy}")
    };
    assert!(waited >= wait, "{waited:?}");
    assert!(pool.lock("a").try_acquire().await.unwrap().is_some());
}

#[tokio::test]
async fn a_failure_that_passes_is_waited_out() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let builder = LockPool::builder().url(server.url_at(proxy.port()));
    let pool = builder.build().await.unwrap();
    proxy.refuse(true);
    proxy.cut();
    let request = pool.lock_all(["a", "b"]);
    let waits = tokio::spawn(request.clone().wait(Service::LONG).into_future());
    let once = request.wait(Duration::ZERO).await.unwrap_err();
    assert!(
        matches!(once, Error::Backend { .. } | Error::Busy { .. }),
        "{once}"
    );
    assert!(!waits.is_finished());
    proxy.refuse(false);
    waits
        .await
        .unwrap()
        .expect("the server is back")
        .release()
        .await;
}

#[tokio::test]
async fn it_is_lost_with_the_first_key() {
    let pool = pool().await;
    let request = pool.lock_all(["a", "b"]).on_lost(OnLost::Cancel);
    let request = request.ttl(Duration::from_millis(50)).renew(false);
    let lost = request.clone().run(|_| std::future::pending::<()>()).await;
    assert!(lost.as_ref().is_err_and(Error::is_lost), "{lost:?}");

    let guard = request.await.expect("both are free");
    assert!(guard.expires_at() <= Instant::now() + Duration::from_millis(50));
    assert_eq!(guard.lost().await, LossReason::Expired);
    assert!(guard.expires_at() <= Instant::now());
    assert_eq!(guard.release().await, Some(LossReason::Expired));
}

/// The server no longer has one of the keys.
#[tokio::test]
async fn the_error_names_the_key_that_was_lost() {
    let server = RedisServer::start();
    let pool = LockPool::builder().url(server.url()).build().await.unwrap();
    let request = pool.lock_all(["a", "b"]).ttl(Duration::from_millis(300));
    let lost = request.run(async |_| {
        let lock = server.locks().into_iter().find(|it| it.ends_with("}:b"));
        server.raw(&["DEL", &lock.expect("it is held")]).unwrap();
        std::future::pending::<()>().await;
    });
    let lost = lost.await.unwrap_err();
    assert_eq!(lost.key(), Some("b"), "{lost}");
    eventually("the other one is released", || server.locks().is_empty());
}

#[tokio::test]
async fn inside_each_of_the_keys_is_held() {
    let pool = pool().await;
    let outer = pool.lock_all(["a", "b"]).run(async |lease| {
        assert_held!("a");
        assert_held!("b");
        let current = lockattr::current().expect("it is held");
        assert_eq!(current.token_of("b"), lease.token_of("b"));
        for keys in [vec!["b"], vec!["c", "b"], vec!["a", "b"]] {
            for refused in [
                pool.lock_all(keys.clone()).await.map(drop),
                pool.lock_all(keys).run(async |_| ()).await,
            ] {
                assert!(
                    matches!(refused, Err(Error::Reentrant { .. })),
                    "{refused:?}"
                );
            }
        }
        let nested = |keys: &[&str]| {
            let request = pool.lock_all(keys.iter().copied()).reentrant(true);
            request.run(async |nested| nested.token_of("a"))
        };
        assert_eq!(nested(&["b", "a"]).await.unwrap(), lease.token_of("a"));
        assert_eq!(nested(&["b"]).await.unwrap(), lease.token_of("a"));
        let beyond = nested(&["b", "c"]).await.unwrap_err();
        assert!(matches!(beyond, Error::Reentrant { .. }), "{beyond}");
    });
    outer.await.unwrap();
}

#[tokio::test]
async fn wrong_keys_are_refused_before_anything_is_sent() {
    let pool = pool().await;
    let none = pool.lock_all([""; 0]).await.unwrap_err();
    assert!(
        matches!(
            none,
            Error::Config {
                setting: "keys",
                ..
            }
        ),
        "{none}"
    );
    let wrong = pool
        .lock_all(["a", ""])
        .run(async |_| ())
        .await
        .unwrap_err();
    assert!(matches!(wrong, Error::InvalidKey { .. }), "{wrong}");
    assert_eq!(pool.stats().acquired, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_dropped_at_random_points_leave_no_lock() {
    for service in Service::all() {
        let inside: Arc<[AtomicU32; ACCOUNTS]> = Arc::default();
        let builder = service.builder().default_ttl(Service::LONG);
        let pools = [
            builder.clone().build().await.expect("a pool"),
            builder.build().await.expect("a pool"),
        ];
        let tasks: Vec<_> = (0..TASKS)
            .zip(pools.iter().cycle())
            .map(|(task, pool)| {
                let (inside, pool) = (Arc::clone(&inside), pool.clone());
                let mut random = fastrand::Rng::with_seed(task);
                tokio::spawn(async move {
                    for _ in 0..200 {
                        let mut wanted = [0, 1, 2, 3];
                        random.shuffle(&mut wanted);
                        let wanted = &wanted[..random.usize(1..=ACCOUNTS)];
                        let keys = wanted.iter().map(|id| format!("k:{id}"));
                        let call = pool.lock_all(keys).run(async |_| {
                            for &id in wanted {
                                assert_eq!(inside[id].fetch_add(1, SeqCst), 0, "two are inside");
                            }
                            let leave = Leave(&inside, wanted);
                            yield_now().await;
                            drop(leave);
                        });
                        let patience = Duration::from_micros(random.u64(..4000));
                        // Mostly it is dropped.
                        _ = tokio::time::timeout(patience, call).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no two are inside");
        }
        for id in 0..ACCOUNTS {
            service.becomes_free(&format!("k:{id}")).await;
        }
        let entered: u64 = pools.iter().map(|pool| pool.stats().acquired).sum();
        assert!(entered > 500, "not much of a test: {entered}");
        for pool in pools {
            assert_eq!(pool.stats().lost, 0);
        }
    }
}

struct Leave<'a>(&'a [AtomicU32; ACCOUNTS], &'a [usize]);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        for &id in self.1 {
            self.0[id].fetch_sub(1, SeqCst);
        }
    }
}
