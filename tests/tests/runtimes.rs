//! One pool serves many runtimes, of every kind, also with paused time.

use std::time::Duration;

use lockattr::{LockPool, distributed_lock};
use lockattr_tests::{RedisServer, Service, eventually};
use tokio::runtime::Builder;

#[distributed_lock(key = "runtime:{id}", ttl = "30s")]
async fn call(id: u32) -> Result<u32, lockattr::Error> {
    tokio::task::yield_now().await;
    Ok(id)
}

#[distributed_lock(key = "named:{id}", pool = "other")]
async fn call_named(id: u32) -> Result<u32, lockattr::Error> {
    Ok(id)
}

/// The only test of this binary that installs: the global pool is one per process.
#[test]
fn the_global_pool_outlives_the_runtime_that_installed_it() {
    let server = RedisServer::start();
    let new_runtime = |id: u32| {
        let mut builder = if id.is_multiple_of(2) {
            Builder::new_current_thread()
        } else {
            Builder::new_multi_thread()
        };
        builder.enable_all().build().unwrap()
    };
    new_runtime(0).block_on(async {
        let builder = || LockPool::builder().url(server.url());
        builder().install().await.unwrap();
        let again = builder().install().await.unwrap_err();
        assert!(
            matches!(again, lockattr::Error::AlreadyInstalled { .. }),
            "{again}"
        );
        builder().install_named("other").await.unwrap();
        assert!(builder().install_named("other").await.is_err());
        assert!(LockPool::named("other").is_ok() && LockPool::named("missing").is_err());
        assert_eq!(call(0).await.unwrap(), 0);
        assert_eq!(call_named(1).await.unwrap(), 1);
        assert_eq!(LockPool::named("other").unwrap().stats().acquired, 1);
        let scoped = LockPool::memory().await.unwrap();
        assert_eq!(scoped.scope(call_named(2)).await.unwrap(), 2);
        assert_eq!(
            scoped.stats().acquired,
            1,
            "a scope replaces named pools too"
        );
    });
    for id in 1..20 {
        assert_eq!(new_runtime(id).block_on(call(id)).unwrap(), id);
    }
    let threads: Vec<_> = (20..40)
        .map(|id| {
            std::thread::spawn(move || assert_eq!(new_runtime(id).block_on(call(id)).unwrap(), id))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    eventually("nothing is left", || server.locks().is_empty());
}

#[tokio::test(start_paused = true)]
async fn paused_time_is_no_trouble() {
    for service in Service::all() {
        let pool = service.pool().await;
        for id in 0..100 {
            let guard = pool
                .lock(format!("paused:{id}"))
                .ttl(Duration::from_secs(1))
                .acquire()
                .await
                .unwrap();
            tokio::time::sleep(Duration::from_secs(3600)).await;
            assert!(
                guard.lease().is_valid(),
                "an hour of paused time is no time"
            );
            guard.release().await;
        }
    }
}

#[test]
fn connections_end_with_their_pool() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let server = RedisServer::start();
    let clients = || {
        let list: String = redis::cmd("CLIENT")
            .arg("LIST")
            .query(&mut server.connection())
            .unwrap();
        list.lines().count()
    };
    let before = clients();
    let pool = runtime
        .block_on(LockPool::builder().url(server.url()).build())
        .unwrap();
    assert!(clients() > before);
    runtime.block_on(async { pool.lock("k").acquire().await.unwrap().release().await });
    drop(pool);
    eventually("its connection is closed", || clients() == before);
}
