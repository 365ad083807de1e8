//! Every exit of a locked function, and what is left on the server after it.
//!
//! | exit | the lock is gone |
//! | --- | --- |
//! | value, early return, `?` | when the call returns |
//! | panic, drop while waiting, acquiring or in the body, end of the runtime | at once, in the background |
//! | `process::exit`, `kill -9` | within its ttl |
//!
//! Where the lock must be gone at once, its ttl is far longer than the test waits.

use std::future::pending;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use lockattr::{Error, LockPool, distributed_lock};
use lockattr_tests::{Direction, Policy, Proxy, RedisServer, Service, eventually};
use tokio::sync::Notify;

#[derive(Debug)]
enum Exit {
    Value,
    EarlyReturn,
    QuestionMark,
    Panic,
    Never(Arc<Notify>),
}

#[distributed_lock(key = "exit", ttl = "600s", wait = "600s")]
async fn leave(exit: Exit) -> Result<u8, Box<dyn std::error::Error + Send + Sync>> {
    tokio::task::yield_now().await;
    match exit {
        Exit::Value => {}
        Exit::EarlyReturn => return Ok(2),
        Exit::QuestionMark => drop("x".parse::<u8>()?),
        Exit::Panic => panic!("as told"),
        Exit::Never(entered) => {
            entered.notify_one();
            pending::<()>().await;
        }
    }
    Ok(1)
}

#[tokio::test]
async fn a_call_that_returns_has_released() {
    for service in Service::all() {
        let pool = service.pool().await;
        assert_eq!(pool.scope(leave(Exit::Value)).await.unwrap(), 1);
        assert!(service.is_free("exit").await);
        assert_eq!(pool.scope(leave(Exit::EarlyReturn)).await.unwrap(), 2);
        assert!(service.is_free("exit").await);
        assert!(pool.scope(leave(Exit::QuestionMark)).await.is_err());
        assert!(service.is_free("exit").await);
    }
}

#[tokio::test]
async fn a_panic_releases_and_goes_on() {
    for service in Service::all() {
        let pool = service.pool().await;
        let panicked = tokio::spawn(async move { pool.scope(leave(Exit::Panic)).await.is_ok() })
            .await
            .unwrap_err();
        assert_eq!(panicked.into_panic().downcast_ref(), Some(&"as told"));
        service.becomes_free("exit").await;
    }
}

#[tokio::test]
async fn dropped_in_the_body() {
    for service in Service::all() {
        let pool = service.pool().await;
        let entered = Arc::new(Notify::new());
        let task = tokio::spawn({
            let entered = Arc::clone(&entered);
            async move { pool.scope(leave(Exit::Never(entered))).await.is_ok() }
        });
        entered.notified().await;
        assert!(!service.is_free("exit").await);
        task.abort();
        service.becomes_free("exit").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_while_waiting() {
    for service in Service::all() {
        let (pool, other) = (service.pool().await, service.pool().await);
        let guard = other
            .lock("exit")
            .ttl(Service::LONG)
            .acquire()
            .await
            .unwrap();
        let waiting = tokio::spawn({
            let pool = pool.clone();
            async move { pool.scope(leave(Exit::Value)).await.is_ok() }
        });
        eventually("it waits", || pool.stats().waited == 1);
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        guard.release().await;
        // Its last attempt may still have been on its way: then its grant is released.
        service.becomes_free("exit").await;
        assert_eq!(pool.stats().acquired, 0, "nobody was let in");
    }
}

#[tokio::test]
async fn dropped_while_acquiring() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let pool = LockPool::builder()
        .url(server.url_at(proxy.port()))
        .response_timeout(Duration::from_secs(60))
        .build()
        .await
        .unwrap();
    // The server knows the scripts from now on, so an attempt is one round trip.
    pool.scope(leave(Exit::Value)).await.unwrap();
    // The server grants, and the caller is dropped before the answer arrives.
    proxy.set(Direction::Replies, Policy::Stall);
    let mut acquiring = Box::pin(pool.lock("exit").ttl(Service::LONG).acquire());
    std::future::poll_fn(|cx| {
        assert!(acquiring.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    eventually("the server has granted it", || !server.locks().is_empty());
    drop(acquiring);
    proxy.set(Direction::Replies, Policy::Pass);
    eventually("the lock is gone", || server.locks().is_empty());
    assert_eq!(
        server.keys("*tomb*"),
        [""; 0],
        "an answered attempt needs no tombstone"
    );
}

#[tokio::test]
async fn dropped_while_releasing() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let url = server.url_at(proxy.port());
    let pool = LockPool::builder().url(url).build().await.unwrap();
    for polls in 0..3 {
        let guard = pool
            .lock("exit")
            .ttl(Service::LONG)
            .acquire()
            .await
            .unwrap();
        proxy.set_both(Policy::Stall);
        let mut releasing = Box::pin(guard.release());
        for _ in 0..polls {
            std::future::poll_fn(|cx| {
                assert!(releasing.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
        }
        drop(releasing);
        proxy.set_both(Policy::Pass);
        eventually("the lock is gone", || server.locks().is_empty());
    }
}

#[tokio::test]
async fn dropped_at_every_poll() {
    for service in Service::all() {
        let pool = service.pool().await;
        for polls in 0..8 {
            let mut call = Box::pin(pool.scope(leave(Exit::Never(Arc::default()))));
            for _ in 0..polls {
                std::future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_ready())).await;
                tokio::task::yield_now().await;
            }
            drop(call);
            service.becomes_free("exit").await;
        }
    }
}

#[test]
fn the_runtime_is_shut_down() {
    let outside = tokio::runtime::Runtime::new().unwrap();
    for service in Service::all() {
        let pool = outside.block_on(service.pool());
        for runtime in [
            tokio::runtime::Builder::new_current_thread(),
            tokio::runtime::Builder::new_multi_thread(),
        ] {
            let runtime = { runtime }.enable_all().build().unwrap();
            let entered = Arc::new(Notify::new());
            let (task_pool, exit) = (pool.clone(), Exit::Never(Arc::clone(&entered)));
            runtime.spawn(async move { task_pool.scope(leave(exit)).await.is_ok() });
            runtime.block_on(entered.notified());
            assert!(!outside.block_on(service.is_free("exit")));
            drop(runtime);
            outside.block_on(service.becomes_free("exit"));
        }
    }
}

#[test]
fn the_process_ends() {
    let server = RedisServer::start();
    for end in ["exit", "hang"] {
        let mut worker = Command::new(env!("CARGO_BIN_EXE_worker"))
            .args([&server.url(), "exit", end])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(worker.stdout.take().unwrap())
            .read_line(&mut said)
            .unwrap();
        assert_eq!(said, "held\n");
        if end == "hang" {
            worker.kill().unwrap();
        }
        worker.wait().unwrap();
        // No process releases or renews any longer. The remaining names end by themselves.
        for name in server.locks() {
            let left: i64 = redis::cmd("PTTL")
                .arg(name)
                .query(&mut server.connection())
                .unwrap();
            assert!(left <= 500, "{left} ms are more than its ttl");
        }
        eventually("the lock has run out", || server.locks().is_empty());
    }
}

#[tokio::test]
async fn a_call_that_is_refused_leaves_nothing() {
    for service in Service::all() {
        let (pool, other) = (service.pool().await, service.pool().await);
        let guard = other
            .lock("exit")
            .ttl(Service::LONG)
            .acquire()
            .await
            .unwrap();
        let busy = pool
            .lock("exit")
            .wait(Duration::from_millis(30))
            .acquire()
            .await
            .unwrap_err();
        assert!(matches!(busy, Error::Busy { .. }), "{busy}");
        guard.release().await;
        // The refused call gives its place up in the background.
        service.becomes_free("exit").await;
    }
}
