//! Leader election: one leader at a time, and another when it is gone.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use lockattr::{Error, LockPool, lead};
use lockattr_tests::{Lines, Proxy, RedisServer, Service, eventually_async};
use tracing::dispatcher;
use tracing::level_filters::LevelFilter;

/// Counts the leaders at a time.
struct Inside(Arc<AtomicU32>);

impl Inside {
    fn enter(inside: &Arc<AtomicU32>) -> Self {
        assert_eq!(inside.fetch_add(1, SeqCst), 0, "two leaders");
        Self(Arc::clone(inside))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_candidate_leads_in_an_epoch_of_its_own() {
    for service in Service::all() {
        let (inside, last) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU64::new(0)));
        let pools = [service.pool().await, service.pool().await];
        let candidates: Vec<_> = (0..8)
            .map(|n| {
                let (inside, last) = (Arc::clone(&inside), Arc::clone(&last));
                let pool = pools[n % 2].clone();
                tokio::spawn(async move {
                    let election = lead("leader").ttl(Service::LONG).pool(&pool);
                    let led = election.run(async |leadership| {
                        let _inside = Inside::enter(&inside);
                        let before = last.swap(leadership.epoch(), SeqCst);
                        assert!(leadership.is_leader() && leadership.epoch() > before);
                        assert_eq!(leadership.lease().key(), "leader");
                        tokio::task::yield_now().await;
                        n
                    });
                    assert_eq!(led.await.unwrap(), n);
                })
            })
            .collect();
        for candidate in candidates {
            candidate.await.unwrap();
        }
        service.becomes_free("leader").await;
    }
}

/// A candidate whose body never returns, and that counts its terms.
fn candidate(
    pool: &LockPool,
    ttl: Duration,
) -> (Candidate, impl Future<Output = Error> + Send + use<>) {
    let (terms, inside) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let counts = Candidate {
        terms: Arc::clone(&terms),
        inside: Arc::clone(&inside),
    };
    let election = lead("leader").ttl(ttl).pool(pool);
    let run = async move {
        let led = election.run(|_| {
            let inside = Inside::enter(&inside);
            terms.fetch_add(1, SeqCst);
            async move {
                let _inside = inside;
                pending::<()>().await;
            }
        });
        led.await.unwrap_err()
    };
    (counts, run)
}

struct Candidate {
    terms: Arc<AtomicU32>,
    inside: Arc<AtomicU32>,
}

impl Candidate {
    async fn leads(&self, terms: u32) {
        let leads = async || self.terms.load(SeqCst) == terms && self.inside.load(SeqCst) == 1;
        eventually_async(&format!("it leads for the {terms}. time"), leads).await;
    }

    async fn has_stopped(&self) {
        let stopped = async || self.inside.load(SeqCst) == 0;
        eventually_async("it does not lead", stopped).await;
    }
}

#[tokio::test]
async fn another_takes_over_from_a_leader_that_is_cut_off() {
    const TTL: Duration = Duration::from_millis(500);
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let far = LockPool::builder().url(server.url_at(proxy.port()));
    let far = far.build().await.unwrap();
    let near = LockPool::builder().url(server.url()).build().await.unwrap();

    let (one, run) = candidate(&far, TTL);
    let first = tokio::spawn(run);
    one.leads(1).await;
    let (other, run) = candidate(&near, TTL);
    let second = tokio::spawn(run);
    proxy.refuse(true);
    proxy.cut();
    one.has_stopped().await;
    other.leads(1).await;

    // It is a candidate again, and leads when the other one is gone.
    proxy.refuse(false);
    near.shutdown(Service::LONG).await.unwrap();
    let ended = second.await.unwrap();
    assert!(matches!(ended, Error::Closed), "{ended}");
    one.leads(2).await;
    first.abort();
    one.has_stopped().await;
    eventually_async("it has stepped down", async || server.locks().is_empty()).await;
}

#[tokio::test]
async fn another_takes_over_from_a_pool_that_is_shut_down() {
    for service in Service::all() {
        let (old, new) = (service.pool().await, service.pool().await);
        let (one, run) = candidate(&old, Service::LONG);
        let first = tokio::spawn(run);
        one.leads(1).await;
        let (other, run) = candidate(&new, Service::LONG);
        let second = tokio::spawn(run);
        old.shutdown(Service::LONG).await.unwrap();
        assert!(matches!(first.await.unwrap(), Error::Closed));
        other.leads(1).await;
        second.abort();
        service.becomes_free("leader").await;
    }
}

/// The lock's name has a value of another program, so the server refuses; until it is deleted.
#[tokio::test]
async fn failures_are_told_and_the_election_goes_on() {
    let server = RedisServer::start();
    let pool = LockPool::builder().url(server.url()).build().await.unwrap();
    let guard = pool.lock("leader").await.unwrap();
    let name = server.locks().pop().expect("it is held");
    guard.release().await;
    server.raw(&["RPUSH", &name, "foreign"]).unwrap();

    let lines = Lines::default();
    let _default = dispatcher::set_default(&lines.subscriber(LevelFilter::WARN));
    let election = lead("leader").pool(&pool);
    let (epoch, ()) = tokio::join!(election.run(async |it| it.epoch()), async {
        let told = async || lines.of("stands for election again").len() >= 2;
        eventually_async("two failures are told", told).await;
        server.raw(&["DEL", &name]).unwrap();
    });
    assert!(epoch.unwrap() > 0);
}

#[tokio::test]
async fn what_does_not_pass_is_returned() {
    let pool = LockPool::memory().await.unwrap();
    let run = |election: lockattr::Election| election.pool(&pool).run(async |_| ());
    let wrong = run(lead("")).await.unwrap_err();
    assert!(matches!(wrong, Error::InvalidKey { .. }), "{wrong}");
    let wrong = run(lead("leader").ttl(Duration::ZERO)).await.unwrap_err();
    assert!(matches!(wrong, Error::Config { .. }), "{wrong}");
    let none = lead("leader").run(async |_| ()).await.unwrap_err();
    assert!(matches!(none, Error::NotConfigured { .. }), "{none}");
    pool.shutdown(Service::LONG).await.unwrap();
    let closed = run(lead("leader")).await.unwrap_err();
    assert!(matches!(closed, Error::Closed), "{closed}");
}
