//! The pool for the tests of other people's code, whose time is that of the runtime.

use std::future::pending;
use std::time::Duration;

use lockattr::testing::TestPool;
use lockattr::{
    Error, LockPool, LossReason, assert_acquired, assert_not_acquired, distributed_lock, key,
};
use tokio::time::{Instant, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

#[distributed_lock(key = "order:{id}", ttl = "10s", wait = "5s")]
async fn pay(id: u64, takes: Duration) -> Result<(), Error> {
    sleep(takes).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_was_acquired_is_recorded() {
    let locks = TestPool::new().await.unwrap();
    locks.scope(pay(1, SECOND)).await.unwrap();
    locks.scope(pay(2, Duration::ZERO)).await.unwrap();
    locks.scope(pay(1, Duration::ZERO)).await.unwrap();
    let id = 2;
    assert_acquired!(locks, "order:1");
    assert_acquired!(locks, "order:1", times = 2);
    assert_acquired!(locks, key!("order:{id}"), times = 1);
    assert_not_acquired!(locks, "order:3");

    let all = locks.acquisitions();
    assert_eq!(all.len(), 3);
    assert_eq!((&*all[0].key, all[0].template), ("order:1", "order:{id}"));
    assert_eq!(all[0].function, "e2e::test_pool::pay");
    assert_eq!(all[0].waited, Duration::ZERO);
    let held = all[0].held.expect("it has ended");
    assert!(held >= SECOND && held < 2 * SECOND, "{held:?}");
    assert!(all[2].fencing_token > all[0].fencing_token);
    locks.forget();
    assert_not_acquired!(locks, "order:1");
}

#[tokio::test]
#[should_panic(
    expected = "`order:2` was acquired 0 times, not at least once; all that was acquired:\n  \
                           `order:1` by e2e::test_pool::pay, held for"
)]
async fn a_failed_assertion_shows_what_was_acquired() {
    let locks = TestPool::new().await.unwrap();
    locks.scope(pay(1, Duration::ZERO)).await.unwrap();
    assert_acquired!(locks, "order:2");
}

/// The wait takes no real time: the whole test would take an hour.
#[tokio::test(start_paused = true)]
async fn waits_are_over_in_the_runtimes_time() {
    let began = std::time::Instant::now();
    let locks = TestPool::new().await.unwrap();
    let other = locks.hold("order:1").await;
    for _ in 0..720 {
        let start = Instant::now();
        let busy = locks.scope(pay(1, SECOND)).await.unwrap_err();
        let Error::Busy { holder, .. } = busy else {
            panic!("{busy}");
        };
        assert_eq!(holder.as_deref(), Some("another process"));
        let waited = start.elapsed();
        assert!(waited >= 5 * SECOND && waited < 6 * SECOND, "{waited:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(600));
    assert_not_acquired!(locks, "order:1");
    let (paid, ()) = tokio::join!(locks.scope(pay(1, SECOND)), async {
        sleep(2 * SECOND).await;
        other.release().await;
    });
    paid.unwrap();
    let waited = locks.acquisitions()[0].waited;
    assert!(waited >= 2 * SECOND && waited < 3 * SECOND, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn leases_are_renewed_or_end_in_the_runtimes_time() {
    let locks = TestPool::new().await.unwrap();
    locks.scope(pay(1, 3600 * SECOND)).await.unwrap();
    assert!(locks.stats().renewed > 1000);

    let request = locks.lock("k").ttl(10 * SECOND).renew(false);
    let start = Instant::now();
    let lost = request.run(|_| pending::<()>()).await.unwrap_err();
    let Error::Lost { reason, .. } = lost else {
        panic!("{lost}");
    };
    assert_eq!(reason, LossReason::Expired);
    let lasted = start.elapsed();
    assert!(lasted > 9 * SECOND && lasted < 10 * SECOND, "{lasted:?}");
    assert_eq!(locks.acquisitions()[1].lost, Some(LossReason::Expired));

    let guard = locks.lock("k").ttl(10 * SECOND).renew(false).await.unwrap();
    tokio::time::advance(5 * SECOND).await;
    assert!(guard.is_valid());
    tokio::time::advance(5 * SECOND).await;
    assert!(!guard.is_valid());
}

#[tokio::test(start_paused = true)]
async fn the_service_fails_and_recovers_when_told() {
    let locks = TestPool::new().await.unwrap();
    locks.fail();
    let failed = locks.scope(pay(1, SECOND)).await.unwrap_err();
    assert!(matches!(failed, Error::Backend { .. }), "{failed}");
    locks.recover();
    locks.scope(pay(1, SECOND)).await.unwrap();

    // A lease that cannot be renewed ends.
    let lost = tokio::join!(locks.scope(pay(2, 60 * SECOND)), async {
        sleep(SECOND).await;
        locks.fail();
    });
    assert!(lost.0.unwrap_err().is_lost());
    assert!(locks.stats().renewal_failed > 0);
}

#[tokio::test(start_paused = true)]
async fn answers_come_late_when_told() {
    let locks = TestPool::new().await.unwrap();
    let late = Duration::from_millis(200);
    locks.delay(late);
    let start = Instant::now();
    locks.scope(pay(1, Duration::ZERO)).await.unwrap();
    let took = start.elapsed();
    assert!(took >= 2 * late && took < 3 * late, "{took:?}");
    // Later than an answer is waited for: nothing is ever granted, and nothing is left.
    locks.delay(6 * SECOND);
    let failed = locks.scope(pay(1, Duration::ZERO)).await.unwrap_err();
    assert!(!failed.is_lost(), "{failed}");
    locks.recover();
    timeout(60 * SECOND, locks.scope(pay(1, Duration::ZERO)))
        .await
        .expect("it is not left behind")
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_lost_when_told_and_nobody_elses() {
    let locks = TestPool::new().await.unwrap();
    let start = Instant::now();
    let (lost, kept, had_it) = tokio::join!(
        locks.scope(pay(1, 60 * SECOND)),
        locks.scope(pay(2, 5 * SECOND)),
        async {
            sleep(SECOND).await;
            locks.lose("order:1").await.unwrap()
        }
    );
    assert!(had_it && lost.unwrap_err().is_lost());
    kept.unwrap();
    assert!(start.elapsed() < 6 * SECOND);
    let of = |key: &str| {
        let all = locks.acquisitions();
        all.into_iter()
            .find(|it| it.key == key)
            .expect("it was acquired")
    };
    assert_eq!(of("order:1").lost, Some(LossReason::Gone));
    assert_eq!(of("order:2").lost, None);
    assert!(!locks.lose("order:1").await.unwrap(), "nobody has it");
    locks.scope(pay(1, SECOND)).await.unwrap();
}

/// Without a paused clock, in a runtime of several threads, it is a pool like others.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_works_in_real_time() {
    let locks = TestPool::with(LockPool::builder().default_ttl(SECOND))
        .await
        .unwrap();
    let pool = LockPool::clone(&locks);
    let calls: Vec<_> = (0..200)
        .map(|_| tokio::spawn(pool.scope(pay(1, Duration::ZERO))))
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_acquired!(locks, "order:1", times = 200);
    assert!(locks.acquisitions().iter().all(|it| it.held.is_some()));
    pool.shutdown(10 * SECOND).await.unwrap();
}

/// The order in which a test ends does not matter.
#[test]
fn a_pool_whose_runtime_is_gone_serves_nobody() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let first = runtime();
    let locks = first.block_on(TestPool::new()).unwrap();
    let guard = first.block_on(locks.lock("k").acquire()).unwrap();
    drop(first);
    drop(guard);
    let closed = runtime().block_on(locks.lock("k").acquire()).unwrap_err();
    assert!(matches!(closed, Error::Closed), "{closed}");
}
