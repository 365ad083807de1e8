//! `when`, `on_busy = handler` and `on_lost = "error"`.

use std::cell::Cell;
use std::time::Duration;

use lockattr::{Busy, Error, Lease, LockPool, OnLost, distributed_lock};

async fn pool() -> LockPool {
    LockPool::memory().await.expect("a thread can be started")
}

struct Limits {
    large: u64,
}

impl Limits {
    #[distributed_lock(key = "charge", wait = "0s", when = amount > self.large && !unit.is_empty(), bind = lease)]
    async fn charge(&self, (amount, unit): (u64, String)) -> Result<Option<u64>, Error> {
        drop(unit);
        tokio::task::yield_now().await;
        assert_eq!(lease.is_some(), lockattr::current().is_some());
        Ok(lease.map(Lease::fencing_token))
    }
}

#[tokio::test]
async fn a_call_that_needs_no_lock_runs_beside_a_holder() {
    let (pool, limits) = (pool().await, Limits { large: 100 });
    let charge = |amount| pool.scope(limits.charge((amount, "EUR".to_owned())));
    assert!(charge(101).await.unwrap().is_some());
    let acquired = pool.stats().acquired;
    assert_eq!(charge(100).await.unwrap(), None);
    assert_eq!(pool.stats().acquired, acquired);
    let guard = pool.lock("charge").await.unwrap();
    assert!(charge(101).await.unwrap_err().is_busy());
    assert_eq!(charge(1).await.unwrap(), None);
    guard.release().await;
}

#[distributed_lock(key = "never", when = needed)]
async fn without_a_pool(needed: bool) -> Result<u8, Error> {
    Ok(1)
}

#[tokio::test]
async fn a_call_that_needs_no_lock_needs_no_pool() {
    assert_eq!(without_a_pool(false).await.unwrap(), 1);
    let refused = without_a_pool(true).await.unwrap_err();
    assert!(matches!(refused, Error::NotConfigured { .. }), "{refused}");
}

#[distributed_lock(key = "outer")]
async fn outer() -> Result<(), Error> {
    #[distributed_lock(key = "inner", when = needed, bind = lease)]
    async fn inner(needed: bool) -> Result<bool, Error> {
        assert!(lockattr::current().is_some());
        Ok(lease.is_some())
    }
    assert!(!inner(false).await?);
    assert!(inner(true).await?);
    Ok(())
}

#[tokio::test]
async fn an_unlocked_call_runs_under_the_locks_around_it() {
    pool().await.scope(outer()).await.unwrap();
}

#[derive(Debug, PartialEq)]
enum Answer {
    Done,
    Later(String, bool),
    Failed,
}

#[distributed_lock(
    key = "busy:{name}",
    wait = "0s",
    on_busy = |busy: Busy| {
        assert!(busy.retry_after().is_some() && busy.waited() < Duration::from_secs(60));
        Answer::Later(name, busy.key() == "busy:a")
    },
    or_else = |_| { drop(name); Answer::Failed }
)]
async fn handled(name: String) -> Answer {
    drop(name);
    Answer::Done
}

#[tokio::test]
async fn both_handlers_may_take_the_same_argument() {
    let pool = pool().await;
    let handled = |name: &str| pool.scope(handled(name.to_owned()));
    assert_eq!(handled("a").await, Answer::Done);
    let guard = pool.lock("busy:a").await.unwrap();
    assert_eq!(handled("a").await, Answer::Later("a".to_owned(), true));
    guard.release().await;
    assert_eq!(
        handled("").await,
        Answer::Failed,
        "an invalid key is not busy"
    );
}

#[distributed_lock(key = "report", wait = "0s", on_busy = |busy| Ok(format!("{} is written", busy.key())))]
async fn report() -> Result<String, Error> {
    Err(Error::Closed)
}

#[tokio::test]
async fn other_errors_go_to_the_caller() {
    let pool = pool().await;
    let guard = pool.lock("report").await.unwrap();
    assert_eq!(pool.scope(report()).await.unwrap(), "report is written");
    guard.release().await;
    assert!(matches!(pool.scope(report()).await, Err(Error::Closed)));
    let refused = report().await.unwrap_err();
    assert!(matches!(refused, Error::NotConfigured { .. }), "{refused}");
}

#[distributed_lock(key = "k", ttl = "50ms", renew = false, on_lost = "error")]
async fn runs_to_its_end(end: &Cell<bool>) -> Result<u8, Error> {
    lockattr::current().expect("it is held").lost().await;
    end.set(true);
    Ok(1)
}

#[distributed_lock(key = "handled", ttl = "50ms", renew = false, on_lost = "error", or_else = |error| error.is_lost())]
async fn tells_of_a_loss() -> bool {
    lockattr::current().expect("it is held").lost().await;
    false
}

type Renamed<T> = Result<T, Error>;

#[distributed_lock(
    key = "skips",
    ttl = "50ms",
    renew = false,
    on_lost = "error",
    on_busy = "skip"
)]
async fn skips() -> Renamed<u8> {
    lockattr::current().expect("it is held").lost().await;
    Ok(1)
}

#[tokio::test]
async fn a_body_that_lost_its_lease_ends_with_an_error() {
    let (pool, end) = (pool().await, Cell::new(false));
    let lost = pool.scope(runs_to_its_end(&end)).await.unwrap_err();
    assert!(lost.is_lost() && end.get(), "{lost}");
    assert!(pool.scope(tells_of_a_loss()).await);
    assert!(pool.scope(skips()).await.unwrap_err().is_lost());
    assert_eq!(pool.stats().finished_after_loss, 0, "the callers know");
}

#[distributed_lock(key = "nests", reentrant = true, on_lost = "error")]
async fn nested(loses: bool) -> Result<u8, Error> {
    if loses {
        lockattr::current().expect("it is held").lost().await;
    }
    Ok(1)
}

#[tokio::test]
async fn a_nested_body_and_a_request_end_with_an_error_too() {
    let pool = pool().await;
    for (loses, on_lost) in [
        (false, OnLost::Finish),
        (true, OnLost::Finish),
        (true, OnLost::Error),
    ] {
        let request = pool
            .lock("nests")
            .ttl(if loses {
                Duration::from_millis(50)
            } else {
                Duration::from_secs(30)
            })
            .renew(!loses)
            .on_lost(on_lost);
        let ended = pool.scope(request.run(async |_| nested(loses).await)).await;
        match ended {
            Ok(nested) => {
                assert!(!loses || on_lost == OnLost::Finish);
                assert_eq!(nested.is_err_and(|error| error.is_lost()), loses);
            }
            Err(error) => assert!(error.is_lost() && on_lost == OnLost::Error),
        }
    }
}
