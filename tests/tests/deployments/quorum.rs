//! `redis+quorum://`: a majority of independent servers.

mod faults;
mod startup;

use std::time::Duration;

use lockattr::conformance::{Conformance, Violations};
use lockattr::{Guard, LockPool, LockPoolBuilder};
use lockattr_tests::{Quorum, Service, eventually, eventually_async};

fn builder(url: impl AsRef<str>) -> LockPoolBuilder {
    LockPool::builder().url(url).default_wait(Service::LONG)
}

async fn pool(quorum: &Quorum) -> LockPool {
    builder(quorum.url()).build().await.unwrap()
}

async fn hold(pool: &LockPool, key: &str) -> Guard {
    pool.lock(key).ttl(Service::LONG).acquire().await.unwrap()
}

/// Acquires and releases, and returns the fencing token.
async fn take(pool: &LockPool, key: &str) -> u64 {
    let guard = hold(pool, key).await;
    let token = guard.lease().fencing_token();
    guard.release().await;
    token
}

#[tokio::test]
async fn it_conforms() -> Result<(), Violations> {
    let quorum = Quorum::start(3);
    let nodes = quorum.nodes.iter();
    nodes.for_each(lockattr_tests::RedisServer::allow_inspection);
    let checks = Conformance::of(builder(quorum.url())).ttl(Duration::from_millis(800));
    checks.check().await
}

#[tokio::test]
async fn it_conforms_while_a_minority_of_five_is_down() -> Result<(), Violations> {
    let mut quorum = Quorum::start(5);
    let nodes = quorum.nodes.iter();
    nodes.for_each(lockattr_tests::RedisServer::allow_inspection);
    quorum.nodes[1].kill();
    quorum.nodes[4].kill();
    let checks = Conformance::of(builder(quorum.url())).ttl(Duration::from_millis(800));
    checks.check().await
}

/// Processes that name the servers in another order use the same queues.
#[tokio::test]
async fn fifty_contenders_have_their_turn_without_a_herd() {
    const PROCESSES: usize = 10;
    const CALLS: usize = 5;
    let quorum = Quorum::start(3);
    let mut ports: Vec<u16> = quorum
        .nodes
        .iter()
        .map(lockattr_tests::RedisServer::port)
        .collect();
    let mut pools = Vec::new();
    for number in 0..PROCESSES {
        ports.rotate_left(number % 3);
        let settings = builder(Quorum::url_at(&ports)).batch_size(1);
        pools.push(settings.build().await.unwrap());
    }
    let first = hold(&pools[0], "k").await;
    let mut tasks = Vec::new();
    for pool in &pools {
        for _ in 0..CALLS {
            let pool = pool.clone();
            tasks.push(tokio::spawn(async move { take(&pool, "k").await }));
        }
    }
    eventually_async("all processes wait", || async {
        pools.iter().map(|pool| pool.stats().waited).sum::<u64>() >= PROCESSES as u64
    })
    .await;
    let before = quorum.script_calls();
    let mut tokens = vec![first.lease().fencing_token()];
    first.release().await;
    for task in tasks {
        tokens.push(task.await.unwrap());
    }
    tokens.sort_unstable();
    let granted = tokens.len();
    tokens.dedup();
    assert_eq!(tokens.len(), granted, "a token was granted twice");
    let calls = (quorum.script_calls() - before) / granted;
    println!("{calls} calls of scripts a grant, on three servers");
    assert!(calls <= 25, "{calls} calls a grant");
    eventually("nothing is left", || quorum.locks().is_empty());
    let lost: u64 = pools.iter().map(|pool| pool.stats().lost).sum();
    assert_eq!(lost, 0);
}

/// Between two that try once at the same moment one gets the lock, however their votes are split.
#[tokio::test]
async fn of_two_that_try_once_one_succeeds() {
    let quorum = Quorum::start(3);
    let pools = [pool(&quorum).await, pool(&quorum).await];
    for round in 0..40 {
        let key = format!("k:{round}");
        let tries = pools.each_ref().map(|pool| {
            let request = pool.lock(&key).wait(Duration::ZERO);
            tokio::spawn(request.acquire())
        });
        let mut guards = Vec::new();
        for tried in tries {
            guards.extend(tried.await.unwrap().ok());
        }
        assert_eq!(guards.len(), 1, "round {round}");
        for guard in guards {
            guard.release().await;
        }
    }
    eventually("nothing is left", || quorum.locks().is_empty());
}

/// An uncontended grant takes one call to each server, once their clocks are known.
#[tokio::test]
async fn an_uncontended_pair_takes_two_calls_of_each_server() {
    const PAIRS: usize = 40;
    let quorum = Quorum::start(3);
    let pool = pool(&quorum).await;
    take(&pool, "first").await;
    let before = quorum.script_calls();
    for number in 0..PAIRS {
        take(&pool, &format!("k:{number}")).await;
    }
    let calls = quorum.script_calls() - before;
    // A proposal may be too low now and then.
    assert!(calls <= PAIRS * 7, "{calls} calls for {PAIRS} pairs");
}

/// A waiter that leaves has no place any more, at whatever server.
#[tokio::test]
async fn a_cancelled_waiter_leaves_nothing() {
    let quorum = Quorum::start(3);
    let (holder, waiter) = (pool(&quorum).await, pool(&quorum).await);
    let guard = hold(&holder, "k").await;
    let waiting = tokio::spawn(waiter.lock("k").acquire());
    let places = || -> usize {
        let of = |node: &lockattr_tests::RedisServer| node.keys("*#queue:*").len();
        quorum.nodes.iter().map(of).sum()
    };
    eventually_async("it waits", || async { places() == 1 }).await;
    waiting.abort();
    eventually_async("it has left", || async { places() == 0 }).await;
    guard.release().await;
    eventually("nothing is left", || quorum.locks().is_empty());
}
