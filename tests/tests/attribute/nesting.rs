//! Locked calls inside locked calls: of the same key, and under a lease that is over.

use std::cell::Cell;
use std::future::pending;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use lockattr::{Error, LockPool, LossReason, OnLost, distributed_lock};
use tokio::task::yield_now;

const SHORT: Duration = Duration::from_millis(50);

async fn pool() -> LockPool {
    LockPool::memory().await.expect("a thread can be started")
}

/// Runs `body` under the key "k", whose lease is already over.
async fn under_a_lost_lease<F: Future>(pool: &LockPool, body: impl FnOnce() -> F) -> F::Output {
    let request = pool
        .lock("k")
        .ttl(SHORT)
        .renew(false)
        .on_lost(OnLost::Finish);
    let outer = request.run(|lease| async move {
        lease.lost().await;
        body().await
    });
    pool.scope(outer).await.expect("the body runs to its end")
}

#[distributed_lock(key = "k", reentrant = true)]
async fn nested() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "k", reentrant = true, on_lost = "finish")]
async fn nested_to_its_end() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "k", wait = "5s")]
async fn anew() -> Result<u64, Error> {
    Ok(lockattr::current().expect("it is held").fencing_token())
}

#[tokio::test]
async fn nothing_nests_under_a_lease_that_is_over() {
    let pool = pool().await;
    let (cancel, finish) =
        under_a_lost_lease(&pool, async || (nested().await, nested_to_its_end().await)).await;
    for result in [cancel, finish] {
        let lost = result.unwrap_err();
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
    }
}

#[tokio::test]
async fn under_a_lease_that_is_over_the_key_is_acquired_anew() {
    let pool = pool().await;
    let (outer, inner) = under_a_lost_lease(&pool, async || {
        let outer = lockattr::current()
            .expect("a lease, though it is over")
            .fencing_token();
        (outer, anew().await.unwrap())
    })
    .await;
    assert!(inner > outer, "{inner} is not after {outer}");
    let guard = under_a_lost_lease(&pool, || pool.lock("k").acquire()).await;
    guard.unwrap().release().await;
}

#[distributed_lock(key = "k", reentrant = true)]
async fn waits_inside(entered: &Cell<bool>) -> Result<(), Error> {
    entered.set(true);
    pending().await
}

#[distributed_lock(key = "k", reentrant = true, on_lost = "finish")]
async fn finishes_inside() -> Result<(), Error> {
    lockattr::current().expect("it is held").lost().await;
    Ok(())
}

#[tokio::test]
async fn a_nested_body_follows_its_own_on_lost_when_the_outer_lease_ends() {
    let pool = pool().await;
    let request = pool
        .lock("k")
        .ttl(SHORT)
        .renew(false)
        .on_lost(OnLost::Finish);
    let outer = request.run(async |_| {
        let entered = Cell::new(false);
        let cancelled = waits_inside(&entered).await.unwrap_err();
        assert!(entered.get());
        assert!(matches!(cancelled, Error::Lost { .. }), "{cancelled}");
    });
    pool.scope(outer).await.unwrap();
    let request = pool
        .lock("k")
        .ttl(SHORT)
        .renew(false)
        .on_lost(OnLost::Finish);
    let outer = request.run(async |_| finishes_inside().await.unwrap());
    pool.scope(outer).await.unwrap();
}

#[distributed_lock(key = "k", reentrant = true)]
async fn sibling(
    n: u32,
    inside: &AtomicU32,
    order: &std::sync::Mutex<Vec<u32>>,
) -> Result<(), Error> {
    assert_eq!(inside.fetch_add(1, SeqCst), 0, "two are inside");
    order.lock().unwrap().push(n);
    // Its own nested call does not wait for the siblings.
    nested().await?;
    for _ in 0..3 {
        yield_now().await;
    }
    inside.fetch_sub(1, SeqCst);
    Ok(())
}

#[tokio::test]
async fn siblings_under_one_outer_lock_take_turns() {
    let pool = pool().await;
    let (inside, order) = (AtomicU32::new(0), std::sync::Mutex::default());
    let outer = pool.lock("k").run(async |_| {
        let (a, b, c) = tokio::join!(
            sibling(1, &inside, &order),
            sibling(2, &inside, &order),
            sibling(3, &inside, &order)
        );
        a.and(b).and(c)
    });
    pool.scope(outer).await.unwrap().unwrap();
    assert_eq!(*order.lock().unwrap(), [1, 2, 3]);
    assert_eq!(pool.stats().acquired, 1, "nesting takes no round trip");
}

/// A dropped sibling gives its turn up; a sibling that is not polled keeps it no longer than the
/// lease.
#[tokio::test]
async fn a_turn_ends_with_its_call_or_with_the_lease() {
    let pool = pool().await;
    let outer = pool.lock("k").run(async |_| {
        let entered = Cell::new(false);
        {
            let mut first = pin!(waits_inside(&entered));
            assert!(futures_poll(first.as_mut()).await.is_pending());
            assert!(futures_poll(first.as_mut()).await.is_pending());
            assert!(entered.get());
        }
        nested().await
    });
    pool.scope(outer).await.unwrap().unwrap();

    let request = pool
        .lock("k")
        .ttl(SHORT)
        .renew(false)
        .on_lost(OnLost::Finish);
    let outer = request.run(async |_| {
        let entered = Cell::new(false);
        let mut first = pin!(waits_inside(&entered));
        assert!(futures_poll(first.as_mut()).await.is_pending());
        nested().await
    });
    let lost = pool.scope(outer).await.unwrap().unwrap_err();
    assert!(matches!(lost, Error::Lost { .. }), "{lost}");
}

async fn futures_poll<F: Future>(mut future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
    std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx))).await
}

#[tokio::test]
async fn the_synchronous_part_of_a_body_runs_under_its_lease() {
    let pool = pool().await;
    let run = pool.lock("k").run(|lease| {
        let current = lockattr::current().expect("it is held");
        assert_eq!(current.fencing_token(), lease.fencing_token());
        async {}
    });
    run.await.unwrap();
    assert!(lockattr::current().is_none());
}

/// A body that was woken but is not polled keeps its lock; that is counted and traced, once for
/// each time.
#[tokio::test]
async fn a_body_that_is_not_polled_is_counted() {
    /// Long enough to be renewed on a busy machine.
    const TTL: Duration = Duration::from_millis(300);

    #[distributed_lock(key = "stalled", ttl = TTL)]
    async fn stalls(waits: &Cell<bool>, wake: &tokio::sync::Notify) -> Result<(), Error> {
        let woken = wake.notified();
        waits.set(true);
        woken.await;
        Ok(())
    }

    let (pool, wake) = (pool().await, tokio::sync::Notify::new());
    for (polls_meanwhile, ends) in [(true, true), (false, true), (false, false)] {
        let (before, waits) = (pool.stats(), Cell::new(false));
        let mut call = Box::pin(pool.scope(stalls(&waits, &wake)));
        while !waits.get() {
            assert!(futures_poll(call.as_mut()).await.is_pending());
            yield_now().await;
        }
        let wait_for_long = async {
            // This test is about time.
            tokio::time::sleep(2 * TTL).await;
        };
        if polls_meanwhile {
            // A body that waits longer than the ttl for something else is not stalled.
            tokio::select! { _ = &mut call => unreachable!(), () = wait_for_long => {} }
            wake.notify_waiters();
        } else {
            wake.notify_waiters();
            wait_for_long.await;
        }
        if ends {
            call.await.unwrap();
        } else {
            drop(call);
        }
        let stalls = u64::from(!polls_meanwhile);
        assert_eq!(pool.stats().stalled, before.stalled + stalls);
    }
}
