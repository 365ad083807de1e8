//! `confirm_replicas`, `confirm_fsync`: a lease counts only once its copies do.

mod disk;
mod failover;
mod nodes;

use std::time::Duration;

use lockattr::conformance::{Conformance, Violations};
use lockattr::{
    BackendErrorKind, Error, Guard, LockPool, LockPoolBuilder, LossReason, RedisOptions,
    distributed_lock,
};
use lockattr_tests::replicated::{Replicated, blocked, waits};
use lockattr_tests::{RedisServer, Service, eventually, eventually_async};
use tokio::task::JoinHandle;

const LONG: Duration = Service::LONG;

/// The settings of pools whose calls ask for so many replicas.
fn builder(server: &RedisServer, replicas: u8) -> LockPoolBuilder {
    let options = RedisOptions::new().confirm_replicas(replicas);
    LockPool::builder().url(server.url()).redis(options)
}

async fn pool(server: &RedisServer, replicas: u8) -> LockPool {
    builder(server, replicas).build().await.unwrap()
}

/// A pool that waits for confirmations as long as the test does.
async fn patient(server: &RedisServer, replicas: u8) -> LockPool {
    let options = RedisOptions::new().confirm_replicas(replicas);
    let builder = LockPool::builder().url(server.url()).default_ttl(LONG);
    let patient = builder.redis(options.confirm_within(LONG));
    patient.default_wait(LONG).build().await.unwrap()
}

async fn take(pool: &LockPool, key: &str) -> u64 {
    let guard = pool.lock(key).acquire().await.unwrap();
    let token = guard.lease().fencing_token();
    guard.release().await;
    token
}

/// Returns how many copies there were, and how many were wanted.
#[track_caller]
fn unconfirmed(error: &Error) -> (u32, u32) {
    let Error::Backend { source, .. } = error else {
        panic!("{error}");
    };
    let BackendErrorKind::Unconfirmed {
        confirmed, wanted, ..
    } = source.kind()
    else {
        panic!("{error}");
    };
    (confirmed, wanted)
}

#[tokio::test]
async fn it_conforms() -> Result<(), Violations> {
    let servers = Replicated::start(1);
    let checks = Conformance::of(builder(&servers.master, 1)).confirm_replicas(1);
    checks.ttl(Duration::from_millis(600)).check().await
}

#[tokio::test]
async fn a_grant_that_is_not_confirmed_is_given_back() {
    let servers = Replicated::start(2);
    let pool = pool(&servers.master, 2).await;
    let token = take(&pool, "k").await;
    servers.replicas[0].pause();
    let once = pool.lock("k").wait(Duration::ZERO).acquire().await;
    let error = once.unwrap_err();
    println!("{error}");
    assert_eq!(unconfirmed(&error), (1, 2));
    assert_eq!(error.key(), Some("k"));
    assert!(error.retry_after().is_some());
    let text = error.to_string();
    for part in [
        "`k`",
        "1 of 2 replicas",
        "500ms",
        "`confirm_within`",
        "INFO",
    ] {
        assert!(text.contains(part), "not said: {part}: {text}");
    }
    eventually("it is given back", || servers.master.locks().is_empty());
    // Who waits is told the same at the end.
    let wait = Duration::from_millis(100);
    let error = pool.lock("k").wait(wait).acquire().await.unwrap_err();
    assert_eq!(unconfirmed(&error), (1, 2));
    eventually("it is given back", || servers.master.locks().is_empty());
    servers.replicas[0].resume();
    let later = pool.lock("k").wait(LONG).acquire().await.unwrap();
    assert!(later.lease().fencing_token() > token);
}

/// No replica is there at all.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_is_granted_once_there_is_a_replica() {
    let mut servers = Replicated::start(1);
    servers.replicas[0].kill();
    let pool = pool(&servers.master, 1).await;
    let waiting = tokio::spawn(pool.lock("k").wait(LONG).acquire());
    eventually("it is asked for twice", || waits(&servers.master) > 3);
    assert!(!waiting.is_finished());
    servers.replicas[0].restart();
    drop(waiting.await.unwrap().unwrap());
}

/// `WAIT` blocks its connection, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn other_calls_are_not_held_up() {
    let servers = Replicated::start(2);
    let pool = patient(&servers.master, 0).await;
    assert_eq!(waits(&servers.master), 0);
    servers.replicas[0].pause();
    let both = tokio::spawn(pool.lock("both").confirm_replicas(2).acquire());
    eventually("it is blocked", || blocked(&servers.master) == 1);
    for number in 0..200 {
        take(&pool, &format!("none:{number}")).await;
        let one = pool.lock(format!("one:{number}")).confirm_replicas(1);
        one.acquire().await.unwrap().release().await;
    }
    assert_eq!(blocked(&servers.master), 1);
    assert!(!both.is_finished());
    // What gathers behind the blocked one goes together.
    let before = waits(&servers.master);
    let more = |number| pool.lock(format!("more:{number}")).confirm_replicas(2);
    let more: Vec<_> = (0..100)
        .map(|number| tokio::spawn(more(number).acquire()))
        .collect();
    eventually("they are granted", || servers.master.locks().len() == 101);
    servers.replicas[0].resume();
    drop(both.await.unwrap().unwrap());
    for more in more {
        drop(more.await.unwrap().unwrap());
    }
    let asked = waits(&servers.master) - before;
    assert!(asked < 10, "WAIT {asked} times for 100 calls");
}

#[tokio::test]
async fn an_extension_counts_only_when_it_is_confirmed() {
    let servers = Replicated::start(1);
    let pool = pool(&servers.master, 1).await;
    let ttl = Duration::from_secs(60);
    let guard = pool.lock("k").ttl(ttl).acquire().await.unwrap();
    servers.replicas[0].pause();
    let error = guard.lease().extend(LONG).await.unwrap_err();
    assert_eq!(unconfirmed(&error), (0, 1));
    assert!(guard.lease().is_valid() && guard.lease().remaining() <= ttl);
    servers.replicas[0].resume();
    eventually_async("it is extended", || async {
        guard.lease().extend(LONG).await.is_ok()
    })
    .await;
    assert!(guard.lease().remaining() > ttl);
}

/// The server has a longer lease, and the replica, once it is promoted, does not.
#[tokio::test]
async fn a_lease_ends_when_its_renewals_are_not_confirmed() {
    let servers = Replicated::start(1);
    let pool = pool(&servers.master, 1).await;
    let ttl = Duration::from_secs(1);
    let guard = pool.lock("k").ttl(ttl).acquire().await.unwrap();
    servers.replicas[0].pause();
    assert_eq!(guard.lease().lost().await, LossReason::Expired);
    let left: i64 = redis::cmd("PTTL")
        .arg(&servers.master.locks()[0])
        .query(&mut servers.master.connection())
        .unwrap();
    assert!(left > 0, "it was renewed there");
    guard.release().await;
    eventually("it is given back", || servers.master.locks().is_empty());
}

/// The message of a handoff comes from another connection's release.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_handed_off_waits_for_its_confirmation() {
    let servers = Replicated::start(1);
    let holder = pool(&servers.master, 0).await;
    let waiter = patient(&servers.master, 1).await;
    let held = holder.lock("k").ttl(LONG).acquire().await.unwrap();
    let waiting = tokio::spawn(waiter.lock("k").acquire());
    eventually_async("it waits", || async { waiter.stats().waited == 1 }).await;
    has_it_only_once_confirmed(&servers, held, waiting).await;
}

/// The holder releases, and the call that waits asks the replica before it has the lease.
async fn has_it_only_once_confirmed(
    servers: &Replicated,
    held: Guard,
    waiting: JoinHandle<Result<Guard, Error>>,
) {
    servers.replicas[0].pause();
    held.release().await;
    eventually("it asks the replica", || blocked(&servers.master) == 1);
    assert!(!waiting.is_finished());
    servers.replicas[0].resume();
    drop(waiting.await.unwrap().unwrap());
}

/// A grant is renewed in the millisecond of the grant, so that there is nothing to renew. The server
/// counts from what the connection has written, so that it would confirm what it had confirmed before.
#[tokio::test]
async fn what_is_confirmed_was_written_by_the_same_connection() {
    for servers in [Replicated::start(1), Replicated::start_valkey(1)] {
        let within = Duration::from_millis(5);
        let options = RedisOptions::new()
            .confirm_replicas(1)
            .confirm_within(within);
        let builder = LockPool::builder().url(servers.master.url()).redis(options);
        let pool = builder.build().await.unwrap();
        take(&pool, "k").await;
        servers.replicas[0].pause();
        for number in 0..100 {
            let once = pool.lock(format!("k:{number}")).wait(Duration::ZERO);
            let error = once.acquire().await.expect_err("no replica has it");
            assert_eq!(unconfirmed(&error), (0, 1));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_not_passed_on_to_a_call_that_asks_for_more() {
    let servers = Replicated::start(1);
    // Otherwise the batch is over, and nothing is passed on.
    let settings = builder(&servers.master, 0).batch_time(LONG);
    let pool = settings.default_ttl(LONG).build().await.unwrap();
    let held = pool.lock("k").acquire().await.unwrap();
    let more = pool.lock("k").confirm_replicas(1).wait(LONG);
    let waiting = tokio::spawn(more.acquire());
    eventually_async("it waits", || async { pool.stats().waited == 1 }).await;
    has_it_only_once_confirmed(&servers, held, waiting).await;
}

/// Calls of one process that want a key one after the other have one lease, and its tokens.
#[tokio::test]
async fn a_confirmed_lease_is_passed_on() {
    let servers = Replicated::start(1);
    let pool = pool(&servers.master, 1).await;
    let calls: Vec<_> = (0..500)
        .map(|_| {
            let request = pool.lock("k").wait(LONG);
            tokio::spawn(request.run(|lease| async move { lease.fencing_token() }))
        })
        .collect();
    let mut tokens = Vec::new();
    for call in calls {
        tokens.push(call.await.unwrap().unwrap());
    }
    assert!(tokens.is_sorted_by(|a, b| a < b), "{tokens:?}");
    assert!(waits(&servers.master) < 250, "{}", waits(&servers.master));
}

#[distributed_lock(key = "attribute", pool = pool, confirm_replicas = 1)]
async fn confirmed(pool: &LockPool) -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "attribute", pool = pool, confirm_replicas = 1, reentrant = true)]
async fn nested(pool: &LockPool) -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "attribute", pool = pool, confirm_replicas = 1)]
async fn outer(pool: &LockPool) -> Result<(), Error> {
    nested(pool).await
}

#[distributed_lock(key = "attribute", pool = pool)]
async fn outer_with_less(pool: &LockPool) -> Result<(), Error> {
    nested(pool).await
}

#[tokio::test]
async fn an_attribute_asks_for_itself() {
    let servers = Replicated::start(1);
    let pool = pool(&servers.master, 0).await;
    take(&pool, "k").await;
    assert_eq!(waits(&servers.master), 0);
    confirmed(&pool).await.unwrap();
    assert!(waits(&servers.master) > 0);
    outer(&pool).await.unwrap();
    let error = outer_with_less(&pool).await.unwrap_err();
    assert!(error.to_string().contains("outer call"), "{error}");
}

#[tokio::test]
async fn a_service_without_replicas_refuses() {
    let settings = LockPool::builder().url("memory://");
    let options = RedisOptions::new().confirm_replicas(1);
    let error = settings.clone().redis(options).build().await.unwrap_err();
    let is_refused = |error: &Error| {
        matches!(
            error,
            Error::Config {
                setting: "confirm_replicas",
                ..
            }
        )
    };
    assert!(is_refused(&error), "{error}");
    let pool = settings.build().await.unwrap();
    let error = confirmed(&pool).await.unwrap_err();
    assert!(is_refused(&error), "{error}");
}

/// The pools' user lacks the right: nothing is granted, and the error says what is missing.
#[tokio::test]
async fn a_missing_right_is_told() {
    let server = RedisServer::start();
    let error = builder(&server, 1).build().await.unwrap_err();
    let told = |error: &Error| error.to_string().contains("docs/operations.md");
    assert!(told(&error), "{error}");
    let pool = pool(&server, 0).await;
    let once = pool.lock("k").confirm_replicas(1).wait(LONG);
    let error = once.acquire().await.unwrap_err();
    assert!(told(&error), "{error}");
    eventually("it is given back", || server.locks().is_empty());
}
