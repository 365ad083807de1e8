//! Waiting: in order over all processes, handed over without asking again, and leaving nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lockattr::{Error, LockPool, LockRequest};
use lockattr_tests::{Policy, Proxy, RedisServer, Service, eventually, eventually_async};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

async fn waits(pool: &LockPool, before: u64) {
    eventually_async("it waits", || async { pool.stats().waited > before }).await;
}

#[tokio::test]
async fn processes_are_served_in_the_order_of_their_arrival() {
    for service in Service::all() {
        let holder = service.pool().await;
        let guard = holder.lock("k").ttl(Service::LONG).acquire().await.unwrap();
        let served = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        let mut pools = Vec::new();
        for place in 0..10 {
            let pool = service.pool().await;
            let (request, served) = (pool.lock("k").ttl(Service::LONG), Arc::clone(&served));
            tasks.spawn(async move {
                let guard = request.wait(Service::LONG).acquire().await.unwrap();
                served
                    .lock()
                    .await
                    .push((place, guard.lease().fencing_token()));
                guard.release().await;
            });
            waits(&pool, 0).await;
            pools.push(pool);
        }
        guard.release().await;
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
        let served = served.lock().await;
        assert!(
            served.is_sorted(),
            "in order, with growing tokens: {served:?}"
        );
        assert!(service.is_free("k").await);
    }
}

/// A handed-over lease lasts only for the claim, until it is confirmed.
#[tokio::test]
async fn a_handed_over_lease_is_confirmed_and_kept() {
    let server = RedisServer::start();
    let pool = || LockPool::builder().url(server.url()).build();
    let (first, second) = (pool().await.unwrap(), pool().await.unwrap());
    for renew in [true, false] {
        let guard = first.lock("k").ttl(Service::LONG).acquire().await.unwrap();
        let request = second.lock("k").ttl(Service::LONG).renew(renew);
        let waited = second.stats().waited;
        let asking = tokio::spawn(request.wait(Service::LONG).acquire());
        waits(&second, waited).await;
        guard.release().await;
        let guard = asking.await.unwrap().unwrap();
        eventually("the claim is confirmed", || {
            guard.lease().remaining() > Service::LONG / 2
        });
        guard.release().await;
        assert!(server.locks().is_empty());
    }
}

#[tokio::test]
async fn a_waiter_that_gave_up_is_passed_over() {
    for service in Service::all() {
        // The claim is longer than any test: only the waiter that gave up passes the lease on.
        let pool = || service.builder().claim_window(Service::LONG * 3).build();
        let (holder, gone) = (pool().await.unwrap(), pool().await.unwrap());
        let next = pool().await.unwrap();
        let guard = holder.lock("k").ttl(Service::LONG).acquire().await.unwrap();
        let ask = |pool: &LockPool| {
            let request = pool.lock("k").ttl(Service::LONG).wait(Service::LONG);
            tokio::spawn(request.acquire())
        };
        let leaves = ask(&gone);
        waits(&gone, 0).await;
        let stays = ask(&next);
        waits(&next, 0).await;
        leaves.abort();
        // Either the handoff or the withdrawal comes first.
        guard.release().await;
        stays.await.unwrap().unwrap().release().await;
        service.becomes_free("k").await;
    }
}

/// Although its process asked for a lease on the terms of the waiter that gave up.
#[tokio::test]
async fn a_later_waiter_keeps_the_place_of_one_that_gave_up_on_any_terms() {
    let others: [fn(LockRequest) -> LockRequest; 4] = [
        |request| request.renew(false),
        |request| request.ttl(Service::LONG * 2),
        |request| request.ttl(Service::LONG / 2).renew(false),
        |request| request.max_hold(Service::LONG / 2),
    ];
    for service in Service::all() {
        let (holder, mixed) = (service.pool().await, service.pool().await);
        let next = service.pool().await;
        for (number, on_other_terms) in others.into_iter().enumerate() {
            let key = format!("k{number}");
            let ask = |pool: &LockPool| {
                let request = pool.lock(key.clone()).ttl(Service::LONG);
                request.wait(Service::LONG)
            };
            let guard = ask(&holder).acquire().await.unwrap();
            let waited = (mixed.stats().waited, next.stats().waited);
            let leaves = tokio::spawn(ask(&mixed).acquire());
            waits(&mixed, waited.0).await;
            let mut stays = tokio::spawn(on_other_terms(ask(&mixed)).acquire());
            let mut later = tokio::spawn(ask(&next).acquire());
            waits(&next, waited.1).await;
            leaves.abort();
            leaves.await.unwrap_err();
            guard.release().await;
            tokio::select! {
                stays = &mut stays => assert_eq!(stays.unwrap().unwrap().release().await, None),
                later = &mut later => panic!("{key} out of turn: {:?}", later.unwrap()),
            }
            later.await.unwrap().unwrap().release().await;
            service.becomes_free(&key).await;
        }
    }
}

#[tokio::test]
async fn the_wait_ends_for_each_by_itself() {
    for service in Service::all() {
        let (holder, pool) = (service.pool().await, service.pool().await);
        let guard = holder.lock("k").ttl(Service::LONG).acquire().await.unwrap();
        let ask = |wait| tokio::spawn(pool.lock("k").ttl(Service::LONG).wait(wait).acquire());
        let patient = ask(Service::LONG);
        waits(&pool, 0).await;
        let hasty = ask(Duration::from_millis(20));
        let busy = hasty.await.unwrap().unwrap_err();
        assert!(matches!(busy, Error::Busy { .. }), "{busy}");
        assert!(pool.lock("k").try_acquire().await.unwrap().is_none());
        guard.release().await;
        patient.await.unwrap().unwrap().release().await;
        assert!(service.is_free("k").await);
    }
}

/// A dead process is noticed at the handoff; a hanging one costs the claim.
#[tokio::test]
async fn dead_and_hanging_waiters_do_not_block_the_queue() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let builder = || LockPool::builder().claim_window(Duration::from_millis(500));
    let holder = builder().url(server.url()).build().await.unwrap();
    let behind_proxy = builder().url(server.url_at(proxy.port()));
    let hanging = behind_proxy.build().await.unwrap();
    let next = builder().url(server.url()).build().await.unwrap();

    let guard = holder.lock("k").ttl(Service::LONG).acquire().await.unwrap();
    let ask = |pool: &LockPool| {
        let request = pool.lock("k").ttl(Service::LONG).wait(Service::LONG);
        tokio::spawn(request.acquire())
    };
    let stuck = ask(&hanging);
    waits(&hanging, 0).await;
    let stays = ask(&next);
    waits(&next, 0).await;
    proxy.set_both(Policy::Stall);
    guard.release().await;
    stays.await.unwrap().unwrap().release().await;

    stuck.abort();
    drop(hanging);
    drop(proxy);
    eventually("nothing is left but the fence", || {
        server
            .keys("*")
            .iter()
            .all(|key| key.ends_with("#fence") || key.contains("#tomb:"))
    });
}

#[tokio::test]
async fn a_lost_handoff_is_healed_after_the_reconnect() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let holder = LockPool::builder().url(server.url()).build().await.unwrap();
    let behind_proxy = LockPool::builder().url(server.url_at(proxy.port()));
    let waiter = behind_proxy.build().await.unwrap();
    let guard = holder.lock("k").ttl(Service::LONG).acquire().await.unwrap();
    let request = waiter.lock("k").ttl(Service::LONG).wait(Service::LONG);
    let waiting = tokio::spawn(request.acquire());
    waits(&waiter, 0).await;
    proxy.set_both(Policy::Stall);
    guard.release().await;
    proxy.cut();
    proxy.set_both(Policy::Pass);
    waiting.await.unwrap().unwrap().release().await;
    // The first attempt to release may fall into the reconnect.
    eventually("it is released", || server.locks().is_empty());
}

/// Tasks of one process pass the lease on, and each has a greater token than the previous one.
#[tokio::test]
async fn tasks_of_one_process_pass_the_lease_on() {
    for service in Service::all() {
        let pool = service.pool().await;
        let tokens = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        for _ in 0..16 {
            let (pool, tokens) = (pool.clone(), Arc::clone(&tokens));
            tasks.spawn(async move {
                for _ in 0..50 {
                    let guard = pool.lock("k").acquire().await.unwrap();
                    // A second holder would have to wait for the mutex, so it must be free.
                    tokens
                        .try_lock()
                        .expect("one at a time")
                        .push(guard.lease().fencing_token());
                    guard.release().await;
                }
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
        let tokens = tokens.lock().await;
        assert!(tokens.is_sorted_by(|a, b| a < b));
        let stats = pool.stats();
        assert_eq!(stats.acquired, 800);
        assert!(stats.passed_on > 400, "{stats:?}");
        assert!(service.is_free("k").await);
    }
}

/// Another process has its turn, however many tasks pass the key on among themselves.
#[tokio::test]
async fn a_busy_process_does_not_keep_others_out() {
    for service in Service::all() {
        let (busy, other) = (service.pool().await, service.pool().await);
        let mut tasks = JoinSet::new();
        for _ in 0..8 {
            let pool = busy.clone();
            tasks.spawn(async move {
                loop {
                    pool.lock("k").acquire().await.unwrap().release().await;
                }
            });
        }
        eventually_async("they pass it on", || async { busy.stats().passed_on > 0 }).await;
        for _ in 0..20 {
            let request = other.lock("k").wait(Duration::from_secs(5));
            request.acquire().await.unwrap().release().await;
        }
        tasks.shutdown().await;
        service.becomes_free("k").await;
    }
}

/// Eight processes with 25 tasks each: the server's cost while they wait does not depend on the
/// number of tasks.
#[tokio::test]
async fn hundreds_of_waiters_ask_seldom_and_are_all_served() {
    const POOLS: usize = 8;
    let server = RedisServer::start();
    let recheck = Duration::from_millis(600);
    let holder = LockPool::builder().url(server.url()).build().await.unwrap();
    let guard = holder.lock("k").ttl(Service::LONG).acquire().await.unwrap();
    let mut pools = Vec::new();
    let mut tasks = JoinSet::new();
    for _ in 0..POOLS {
        let pool = LockPool::builder().url(server.url()).build().await.unwrap();
        for _ in 0..25 {
            let request = pool.lock("k").ttl(Service::LONG).wait(Service::LONG);
            tasks.spawn(async move {
                let guard = request.acquire().await.unwrap();
                let token = guard.lease().fencing_token();
                guard.release().await;
                token
            });
        }
        pools.push(pool);
    }
    eventually_async("all wait", || async {
        pools.iter().map(|pool| pool.stats().waited).sum::<u64>() == 200
    })
    .await;
    let start = Instant::now();
    let before = server.script_calls();
    let enough = before + 2 * POOLS;
    eventually_async("they have asked again", || async {
        server.script_calls() >= enough
    })
    .await;
    let asked = server.script_calls() - before;
    let rounds = start.elapsed().as_millis().div_ceil(recheck.as_millis()) + 1;
    let most = POOLS * usize::try_from(rounds).unwrap();
    assert!(asked <= most, "{asked} requests in {rounds} rounds");

    guard.release().await;
    let mut tokens: Vec<u64> = tasks.join_all().await;
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), 200, "each has a token of its own");
    eventually("nothing is left", || server.locks().is_empty());
}

/// A→B and B→A: the cycle is not detected, but no wait is for ever.
#[tokio::test]
async fn two_that_want_each_others_key_end_with_their_wait() {
    for service in Service::all() {
        let pools = [service.pool().await, service.pool().await];
        let take = |pool: &LockPool, key: &str| pool.lock(key).ttl(Service::LONG).acquire();
        let held = [
            take(&pools[0], "a").await.unwrap(),
            take(&pools[1], "b").await.unwrap(),
        ];
        let ask = |pool: &LockPool, key: &str| {
            let request = pool.lock(key).ttl(Service::LONG);
            tokio::spawn(request.wait(Duration::from_millis(100)).acquire())
        };
        let asking = [ask(&pools[0], "b"), ask(&pools[1], "a")];
        for refused in asking {
            let busy = refused.await.unwrap().unwrap_err();
            assert!(busy.is_busy(), "{busy}");
        }
        for guard in held {
            guard.release().await;
        }
        service.becomes_free("a").await;
        service.becomes_free("b").await;
    }
}
