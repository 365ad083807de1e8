//! A lease for a call whose future exists but is not polled: a branch of `select!` that lost, an
//! element of `buffered`, a future kept in a struct. It goes to the next call.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use lockattr::{Error, Guard, LockPool, LockRequest};
use lockattr_tests::{Service, eventually_async};

const CLAIM_WINDOW: Duration = Duration::from_millis(200);
/// Longer than a lease takes to reach the next call, on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

async fn pool(service: &Service) -> LockPool {
    let builder = service.builder().claim_window(CLAIM_WINDOW);
    builder.build().await.unwrap()
}

fn request(pool: &LockPool) -> LockRequest {
    pool.lock("k").ttl(Service::LONG).wait(PATIENCE)
}

type Acquiring = Pin<Box<dyn Future<Output = Result<Guard, Error>>>>;

/// Asks, and is not polled again; returns `None` if the answer came during the first poll.
fn asks_without_looking(request: LockRequest) -> Option<Acquiring> {
    let mut acquiring: Acquiring = Box::pin(request.acquire());
    let polled = acquiring
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    polled.is_pending().then_some(acquiring)
}

/// How a lease reaches a call.
#[derive(Debug, Clone, Copy)]
enum Way {
    Answer,
    Handoff,
    LocalQueue,
}

const WAYS: [Way; 3] = [Way::Answer, Way::Handoff, Way::LocalQueue];

/// Returns a call that is granted the key in this way, and is not polled. Its lease has come.
async fn granted(way: Way, sleeper: &LockPool, other: &LockPool, wait: Duration) -> Acquiring {
    let holder = match way {
        Way::Answer => None,
        Way::Handoff => Some(request(other).acquire().await.unwrap()),
        Way::LocalQueue => Some(request(sleeper).acquire().await.unwrap()),
    };
    let (before, acquiring) = loop {
        let before = sleeper.stats();
        if let Some(acquiring) = asks_without_looking(request(sleeper).wait(wait)) {
            break (before, acquiring);
        }
    };
    if let Some(holder) = holder {
        eventually_async("it waits", || async {
            sleeper.stats().waited > before.waited
        })
        .await;
        holder.release().await;
    }
    eventually_async("its lease has come", || async {
        sleeper.stats().acquired > before.acquired
    })
    .await;
    acquiring
}

#[tokio::test]
async fn a_lease_that_is_not_taken_up_goes_to_the_next_and_the_call_asks_anew() {
    for service in Service::all() {
        for way in WAYS {
            for next_is_local in [false, true] {
                let (sleeper, other) = (pool(&service).await, pool(&service).await);
                let acquiring = granted(way, &sleeper, &other, Service::LONG).await;
                let next = if next_is_local { &sleeper } else { &other };
                let guard = request(next).acquire().await.unwrap();
                let token = guard.lease().fencing_token();
                assert_eq!(sleeper.stats().missed, 1, "{way:?}");
                let waited = sleeper.stats().waited;
                let releases = async {
                    eventually_async("it waits anew", || async {
                        sleeper.stats().waited > waited
                    })
                    .await;
                    guard.release().await;
                };
                let guard = tokio::join!(acquiring, releases).0.unwrap();
                assert!(guard.lease().fencing_token() > token, "{way:?}");
                assert!(guard.lease().is_valid());
                guard.release().await;
                assert!(service.is_free("k").await, "{way:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_call_polled_after_its_wait_returns_why_it_has_no_lease() {
    for service in Service::all() {
        for way in WAYS {
            let (sleeper, other) = (pool(&service).await, pool(&service).await);
            let wait = CLAIM_WINDOW * 2;
            let acquiring = granted(way, &sleeper, &other, wait).await;
            tokio::time::sleep(wait).await;
            eventually_async("it is missed", || async { sleeper.stats().missed == 1 }).await;
            let missed = acquiring.await.unwrap_err();
            assert!(
                matches!(&missed, Error::Missed { .. }) && missed.key() == Some("k"),
                "{missed}"
            );
            service.becomes_free("k").await;
        }
    }
}

#[tokio::test]
async fn a_call_that_is_never_polled_leaves_nothing() {
    for service in Service::all() {
        for way in WAYS {
            let (sleeper, other) = (pool(&service).await, pool(&service).await);
            let acquiring = granted(way, &sleeper, &other, Service::LONG).await;
            service.becomes_free("k").await;
            drop(acquiring);
            let forgotten = granted(way, &sleeper, &other, Service::LONG).await;
            std::mem::forget(forgotten);
            service.becomes_free("k").await;
        }
    }
}

/// Polled late, but within the window: the call keeps the lease as long as its guard lives.
#[tokio::test]
async fn a_lease_that_is_taken_up_stays() {
    for service in Service::all() {
        let (pool, other) = (pool(&service).await, pool(&service).await);
        let guard = granted(Way::Answer, &pool, &other, Service::LONG)
            .await
            .await
            .unwrap();
        tokio::time::sleep(CLAIM_WINDOW * 3).await;
        assert!(guard.lease().is_valid());
        assert!(other.lock("k").try_acquire().await.unwrap().is_none());
        assert_eq!(pool.stats().missed, 0);
        guard.release().await;
    }
}
