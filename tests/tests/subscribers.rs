//! Every event goes to the subscriber under which its call was made, and belongs to the call's span.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use lockattr::{Error, LockPool, distributed_lock};
use lockattr_tests::Lines;
use tokio::runtime::Builder;
use tokio::time::timeout;
use tracing::dispatcher::with_default;
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, Event, Subscriber, field, info_span};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry;

fn subscriber_with(lines: &Lines, level: LevelFilter, panics: Panics) -> Dispatch {
    registry()
        .with(level)
        .with(lines.layer())
        .with(panics)
        .into()
}

/// A layer that panics at the events with this message.
struct Panics(&'static str);

impl<S: Subscriber> Layer<S> for Panics {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut told = false;
        event.record(&mut |field: &field::Field, value: &dyn std::fmt::Debug| {
            told |= field.name() == "message" && format!("{value:?}") == self.0;
        });
        assert!(!told, "as told");
    }
}

#[distributed_lock(key = "subscribed:{n}", ttl = "600ms")]
async fn call(n: u32, mine: &Lines) -> Result<(), Error> {
    tracing::info!("in the body");
    let start = Instant::now();
    while mine.of("lease renewed").len() < 2 {
        assert!(start.elapsed() < Duration::from_secs(20), "no renewal seen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

#[test]
fn events_go_to_the_callers_subscriber_under_the_calls_span() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (others, mine) = (Lines::default(), Lines::default());
    let stranger = others.subscriber(LevelFilter::TRACE);
    // So many spans that the ids of the other subscriber are valid here too.
    let (pool, _decoys) = with_default(&stranger, || {
        let decoys: Vec<_> = (0..50).map(|i| info_span!("DECOY", i)).collect();
        (runtime.block_on(LockPool::memory()).unwrap(), decoys)
    });
    with_default(&mine.subscriber(LevelFilter::TRACE), || {
        runtime.block_on(pool.scope(async {
            let (first, second) = tokio::join!(call(1, &mine), call(1, &mine));
            first.unwrap();
            second.unwrap();
        }));
    });
    runtime
        .block_on(pool.shutdown(Duration::from_secs(20)))
        .unwrap();

    for (event, least) in [
        ("waiting for the lock", 1),
        ("lock acquired", 2),
        ("lease renewed", 2),
        ("in the body", 2),
        ("lock released", 1),
    ] {
        let seen = mine.of(event);
        assert!(seen.len() >= least, "{event}: {seen:?}");
        for line in seen {
            assert!(line.contains("lock{lock.key=subscribed:1 "), "{line}");
        }
    }
    assert_eq!(others.of("subscribed"), [""; 0]);
    assert_eq!(others.of("DECOY"), [""; 0]);
}

/// The subscriber disables spans of this level, but not the warning.
#[test]
fn warnings_reach_a_subscriber_that_disables_the_span() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (others, mine) = (Lines::default(), Lines::default());
    let pool = with_default(&others.subscriber(LevelFilter::TRACE), || {
        runtime.block_on(LockPool::memory()).unwrap()
    });
    with_default(&mine.subscriber(LevelFilter::WARN), || {
        let request = pool.lock("warned").max_hold(Duration::from_millis(60));
        let guard = runtime.block_on(request.acquire()).unwrap();
        let lost = async { timeout(Duration::from_secs(20), guard.lease().lost()).await };
        runtime.block_on(lost).expect("it is lost");
    });
    assert_eq!(mine.of("lock lost while it was held").len(), 1);
    assert_eq!(others.of("warned"), [""; 0]);
}

/// Events without a call go to the subscriber under which the pool was built.
#[test]
fn the_pools_own_events_go_to_its_builders_subscriber() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (builders, mine) = (Lines::default(), Lines::default());
    let pool = with_default(&builders.subscriber(LevelFilter::TRACE), || {
        runtime.block_on(LockPool::memory()).unwrap()
    });
    let panics = Panics("lease renewed");
    with_default(&subscriber_with(&mine, LevelFilter::TRACE, panics), || {
        let request = pool.lock("panics").ttl(Duration::from_millis(100));
        let guard = runtime.block_on(request.acquire()).unwrap();
        let lost = async { timeout(Duration::from_secs(20), guard.lease().lost()).await };
        runtime.block_on(lost).expect("it is lost");
    });
    assert_eq!(pool.stats().restarted, 1);
    assert_eq!(builders.of("the I/O thread of a pool panicked").len(), 1);
    assert_eq!(mine.of("the I/O thread of a pool panicked"), [""; 0]);
}

/// A subscriber that panics on the thread of a caller harms that caller only.
#[test]
fn a_panic_in_a_callers_event_leaves_the_key_and_the_others_alone() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let pool = runtime.block_on(LockPool::memory()).unwrap();
    let acquire = |key: &'static str| runtime.block_on(pool.lock(key).acquire()).unwrap();
    let lines = Lines::default();

    let guard = acquire("panics");
    let panics = Panics("waiting for the lock");
    with_default(&subscriber_with(&lines, LevelFilter::TRACE, panics), || {
        let waits = AssertUnwindSafe(|| drop(acquire("panics")));
        catch_unwind(waits).expect_err("it panics while it joins the queue");
    });
    drop(acquire("another"));
    drop(guard);
    drop(acquire("panics"));
    assert_eq!(pool.stats().restarted, 0);
}
