//! `release = "background"`: a call does not wait for its release, and nothing else changes.

use std::cell::Cell;
use std::rc::Rc;

use lockattr::{
    Error, LockPool, LockPoolBuilder, PoolStats, RedisOptions, Release, distributed_lock,
};
use lockattr_tests::{Direction, Policy, Proxy, RedisServer, Service, eventually_async};

#[distributed_lock(key = "job:{id}", wait = "0s", pool = pool, release = "background")]
async fn in_background(pool: &LockPool, id: u64) -> Result<u64, Error> {
    Ok(id)
}

#[distributed_lock(key = "job:{id}", wait = "0s", pool = pool, release = "await")]
async fn awaited(pool: &LockPool, id: u64) -> Result<u64, Error> {
    Ok(id)
}

#[distributed_lock(key = "job:{id}", wait = "0s", pool = pool)]
async fn as_the_pool_says(pool: &LockPool, id: u64) -> Result<u64, Error> {
    Ok(id)
}

/// A value that is not `Send` works in the same way.
#[distributed_lock(key = "job:{id}", pool = pool, release = "background")]
async fn not_send(pool: &LockPool, id: u64) -> Result<Rc<Cell<u64>>, Error> {
    Ok(Rc::new(Cell::new(id)))
}

/// A pool behind a proxy that can hold back the server's answers.
struct Deaf {
    proxy: Proxy,
    pool: LockPool,
    _server: RedisServer,
}

impl Deaf {
    async fn new(settings: impl FnOnce(LockPoolBuilder) -> LockPoolBuilder) -> Self {
        let server = RedisServer::start();
        let proxy = Proxy::start(server.port());
        let builder = LockPool::builder().url(server.url_at(proxy.port()));
        let builder = builder.default_ttl(Service::LONG);
        let pool = settings(builder).build().await.unwrap();
        Self {
            proxy,
            pool,
            _server: server,
        }
    }

    /// Runs a call whose release gets no answer; returns the counters right after it.
    async fn call<F: Future<Output = Result<u64, Error>>>(&self, call: F) -> PoolStats {
        assert_eq!(call.await.unwrap(), 1);
        self.pool.stats()
    }

    /// Holds the key by hand, and then lets no answer pass.
    async fn run(&self, release: Release) -> PoolStats {
        let request = self.pool.lock("by hand").release(release);
        let body = async |_lease| {
            self.proxy.set(Direction::Replies, Policy::Stall);
        };
        request.run(body).await.unwrap();
        self.pool.stats()
    }
}

#[tokio::test]
async fn a_call_does_not_wait_for_its_release() {
    let patient = |builder: LockPoolBuilder| builder.response_timeout(Service::LONG);
    let deaf = Deaf::new(patient).await;
    let stats = deaf.run(Release::Background).await;
    assert_eq!((stats.released, stats.release_delayed), (0, 0));
    deaf.proxy.set(Direction::Replies, Policy::Pass);
    eventually_async("it is released", || async {
        deaf.pool.stats().released == 1
    })
    .await;
}

#[tokio::test]
async fn a_failure_in_the_background_is_counted() {
    let deaf = Deaf::new(|builder| builder).await;
    deaf.run(Release::Background).await;
    eventually_async("its failure is counted", || async {
        deaf.pool.stats().release_delayed == 1
    })
    .await;
}

#[tokio::test]
async fn a_call_that_waits_returns_after_the_first_failure() {
    let deaf = Deaf::new(|builder| builder).await;
    let stats = deaf.run(Release::Await).await;
    assert_eq!((stats.released, stats.release_delayed), (0, 1));
}

#[tokio::test]
async fn a_calls_own_option_overrides_its_pools() {
    for default in [Release::Await, Release::Background] {
        let deaf = Deaf::new(|builder| builder.default_release(default)).await;
        let pool = &deaf.pool;
        // Awaited: each has been confirmed when its call returns.
        let stats = deaf.call(awaited(pool, 1)).await;
        assert_eq!(stats.released, 1, "{default:?}");
        let stats = deaf.call(as_the_pool_says(pool, 1)).await;
        if default == Release::Await {
            assert_eq!(stats.released, 2);
        }
        deaf.call(in_background(pool, 1)).await;
        eventually_async("all are released", || async { pool.stats().released == 3 }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_request_goes_behind_the_release() {
    for service in Service::all() {
        let pool = service
            .builder()
            .redis(RedisOptions::new().connections(3))
            .build()
            .await
            .unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for id in 0..8 {
            let pool = pool.clone();
            tasks.spawn(async move {
                for round in 0..200 {
                    let called = in_background(&pool, id).await;
                    assert!(called.is_ok(), "{id}, round {round}: {called:?}");
                }
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
        assert_eq!(pool.stats().busy, 0);
    }
}

#[tokio::test]
async fn a_shutdown_waits_for_releases_in_the_background() {
    for service in Service::all() {
        let pool = service.pool().await;
        for id in 0..100 {
            in_background(&pool, id).await.unwrap();
        }
        pool.shutdown(Service::LONG).await.unwrap();
        assert_eq!(pool.stats().released, 100);
        for id in 0..100 {
            assert!(service.is_free(&format!("job:{id}")).await);
        }
    }
}

#[tokio::test]
async fn a_value_that_is_not_send_is_returned() {
    let pool = LockPool::memory().await.unwrap();
    let call: Box<dyn Future<Output = _> + Send> = Box::new(not_send(&pool, 7));
    let value: Result<Rc<Cell<u64>>, Error> = Box::into_pin(call).await;
    assert_eq!(value.unwrap().get(), 7);
}
