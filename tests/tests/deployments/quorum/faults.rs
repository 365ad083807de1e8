//! Servers that are away, silent, forgetful, or have other clocks.

use std::time::{Duration, Instant};

use lockattr::{BackendErrorKind, Error};
use lockattr_tests::{CANARY, Policy, Proxy, Quorum, ServerClock, Service, eventually_async};

use super::{builder, hold, pool, take};

const DAY: i64 = 24 * 60 * 60;

#[tokio::test]
async fn the_loss_of_a_minority_is_not_noticed() {
    let mut quorum = Quorum::start(5);
    let (holder, other) = (pool(&quorum).await, pool(&quorum).await);
    let guard = hold(&holder, "k").await;
    quorum.nodes[0].kill();
    quorum.nodes[3].kill();
    guard.lease().extend(Service::LONG).await.unwrap();
    let refused = other
        .lock("k")
        .wait(Duration::ZERO)
        .acquire()
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::Busy { .. }), "{refused}");
    let token = guard.lease().fencing_token();
    guard.release().await;
    assert!(take(&other, "k").await > token);
    for number in 0..20 {
        take(&other, &format!("k:{number}")).await;
    }
    let stats = [holder, other].map(|pool| pool.stats());
    assert!(stats.iter().all(|it| it.lost + it.failed == 0), "{stats:?}");
}

#[tokio::test]
async fn without_a_majority_nothing_is_granted_and_each_server_is_named() {
    let mut quorum = Quorum::start(3);
    let pool = pool(&quorum).await;
    let token = take(&pool, "k").await;
    quorum.nodes[0].kill();
    quorum.nodes[1].kill();
    let refused = pool
        .lock("k")
        .wait(Duration::ZERO)
        .acquire()
        .await
        .unwrap_err();
    let text = refused.to_string();
    let Error::Backend { source, .. } = &refused else {
        panic!("{text}");
    };
    assert_ne!(source.kind(), BackendErrorKind::Refused);
    assert!(text.contains("2 of 3 servers are needed"), "{text}");
    for node in [0, 1] {
        assert!(
            text.contains(&quorum.nodes[node].port().to_string()),
            "{text}"
        );
    }
    assert!(!format!("{text}{refused:?}").contains(CANARY));
    quorum.nodes[0].restart();
    assert!(take(&pool, "k").await > token);
    eventually_async("nothing is left", || async {
        quorum.nodes[2].locks().is_empty()
    })
    .await;
}

/// A lease is lost with its majority, before another owner has it.
#[tokio::test]
async fn a_lease_ends_with_its_majority() {
    let quorum = Quorum::start(3);
    let pool = pool(&quorum).await;
    let guard = pool
        .lock("k")
        .ttl(Duration::from_millis(600))
        .acquire()
        .await
        .unwrap();
    quorum.nodes[0].pause();
    quorum.nodes[2].pause();
    eventually_async("it is lost", || async { !guard.lease().is_valid() }).await;
    quorum.nodes[0].resume();
    quorum.nodes[2].resume();
    drop(guard);
    take(&pool, "k").await;
}

/// The first of a key's servers is asked for the queue. Where it is silent, that costs time once.
#[tokio::test]
async fn a_silent_server_costs_time_once() {
    const CALLS: u32 = 60;
    let member_timeout = Duration::from_millis(500);
    let quorum = Quorum::start(3);
    let proxy = Proxy::start(quorum.nodes[0].port());
    let ports = [proxy.port(), quorum.nodes[1].port(), quorum.nodes[2].port()];
    let options = lockattr::RedisOptions::new().member_timeout(member_timeout);
    let settings = builder(Quorum::url_at(&ports)).redis(options);
    let pool = settings.build().await.unwrap();
    take(&pool, "k").await;
    proxy.set_both(Policy::Drop);
    let began = Instant::now();
    for number in 0..CALLS {
        take(&pool, &format!("k:{number}")).await;
    }
    let took = began.elapsed();
    assert!(
        took < member_timeout * CALLS / 4,
        "{took:?} for {CALLS} calls"
    );
    assert_eq!(pool.stats().failed, 0);
}

/// Tokens grow over any majority, whatever the clocks show.
#[tokio::test]
async fn tokens_grow_where_clocks_are_days_apart_and_jump() {
    let clocks = [(); 3].map(|()| ServerClock::new());
    clocks[1].set(3 * DAY);
    clocks[2].set(-DAY);
    let quorum = Quorum::start_with_clocks(&clocks);
    let pools = [pool(&quorum).await, pool(&quorum).await];
    let mut last = 0;
    for round in 0..24_usize {
        let away = round % 3;
        quorum.nodes[away].pause();
        // Nothing is held, so that no lease ends by it.
        let clock = &clocks[(round + 1) % 3];
        clock.set([-2 * DAY, 0, DAY, 3 * DAY][round % 4]);
        let token = take(&pools[round % 2], "k").await;
        assert!(token > last, "round {round}: {token} after {last}");
        last = token;
        quorum.nodes[away].resume();
    }
}

/// A server that comes back without its data is one of a minority.
#[tokio::test]
async fn a_server_that_lost_its_data_lets_nobody_in() {
    let mut quorum = Quorum::start(3);
    let (holder, other) = (pool(&quorum).await, pool(&quorum).await);
    let guard = hold(&holder, "k").await;
    quorum.nodes[1].restart_empty();
    eventually_async("the other one reaches it again", || async {
        let free = hold(&other, "free").await;
        let is_there = !quorum.nodes[1].locks().is_empty();
        free.release().await;
        is_there
    })
    .await;
    let refused = other
        .lock("k")
        .wait(Duration::from_millis(300))
        .acquire()
        .await;
    assert!(matches!(refused, Err(Error::Busy { .. })), "{refused:?}");
    // A renewal brings the lock back there.
    eventually_async("all servers have it", || async {
        guard.lease().extend(Service::LONG).await.unwrap();
        let has = |node: &lockattr_tests::RedisServer| !node.keys("*}:k").is_empty();
        quorum.nodes.iter().all(has)
    })
    .await;
    guard.release().await;
    eventually_async("nothing is left", || async { quorum.locks().is_empty() }).await;
}

/// A waiter has its turn while the first server of the key is away.
#[tokio::test]
async fn waiters_go_on_without_the_server_of_their_queue() {
    for away in 0..3 {
        let mut quorum = Quorum::start(3);
        let (holder, waiter) = (pool(&quorum).await, pool(&quorum).await);
        let guard = hold(&holder, "k").await;
        let waiting = tokio::spawn(async move { hold(&waiter, "k").await });
        eventually_async("it waits", || async {
            let has_place = |node: &lockattr_tests::RedisServer| !node.keys("*#queue:k").is_empty();
            quorum.nodes.iter().any(has_place)
        })
        .await;
        quorum.nodes[away].kill();
        let token = guard.lease().fencing_token();
        guard.release().await;
        let next = waiting.await.unwrap();
        assert!(next.lease().fencing_token() > token);
        next.release().await;
    }
}

/// A holder that reaches a minority only stops before another process is let in.
#[tokio::test]
async fn a_process_that_reaches_a_minority_grants_nothing() {
    let quorum = Quorum::start(3);
    let ways = [0, 1].map(|node| Proxy::start(quorum.nodes[node].port()));
    let ports = [ways[0].port(), ways[1].port(), quorum.nodes[2].port()];
    let cut_off = builder(Quorum::url_at(&ports)).build().await.unwrap();
    let other = pool(&quorum).await;
    let request = cut_off.lock("k").ttl(Duration::from_millis(800));
    let guard = request.acquire().await.unwrap();
    for way in &ways {
        way.set_both(Policy::Drop);
    }
    let next = hold(&other, "k").await;
    assert!(!guard.lease().is_valid());
    assert!(next.lease().fencing_token() > guard.lease().fencing_token());
    let request = cut_off.lock("another").wait(Duration::ZERO);
    let refused = request.acquire().await.unwrap_err();
    assert!(matches!(refused, Error::Backend { .. }), "{refused}");
    drop(guard);
    next.release().await;
    for way in &ways {
        way.set_both(Policy::Pass);
        way.cut();
    }
    take(&cut_off, "k").await;
}
