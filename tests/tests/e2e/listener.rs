//! What a pool's listeners hear.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lockattr::listener::{Acquired, Contended, Listener, Lost, Released};
use lockattr::{Error, LockPool, LossReason, distributed_lock};
use lockattr_tests::{RedisServer, Service, eventually_async};

/// Writes down what it hears, without its times.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Heard {
    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Listener for Heard {
    fn on_contended(&self, contended: &Contended<'_>) {
        let call = contended.call;
        let by = contended.holder.map_or("this process", |_| "another one");
        self.note(format!("contended {} by {by}", call.key()));
    }

    fn on_acquired(&self, acquired: &Acquired<'_>) {
        let (call, token) = (acquired.call, acquired.fencing_token);
        self.note(format!(
            "acquired {} {} {} {token}",
            call.key(),
            call.template(),
            call.function()
        ));
        assert!(acquired.waited < Service::LONG);
    }

    fn on_lost(&self, lost: &Lost<'_>) {
        let (call, token) = (lost.call, lost.fencing_token);
        self.note(format!("lost {} {token} {:?}", call.key(), lost.reason));
    }

    fn on_released(&self, released: &Released<'_>) {
        let (call, token) = (released.call, released.fencing_token);
        self.note(format!("released {} {token}", call.key()));
    }
}

async fn heard_pool(server: &RedisServer) -> (LockPool, Arc<Heard>) {
    let heard = Arc::new(Heard::default());
    let builder = LockPool::builder().url(server.url());
    let pool = builder.listener(Arc::clone(&heard)).build().await.unwrap();
    (pool, heard)
}

#[distributed_lock(key = "order:{id}", ttl = "20s", wait = "20s", bind = lease)]
async fn pay(id: u64) -> Result<u64, Error> {
    Ok(lease.fencing_token())
}

#[tokio::test]
async fn listeners_hear_each_step_of_a_call() {
    let server = RedisServer::start();
    let (pool, heard) = heard_pool(&server).await;
    let (other, others) = heard_pool(&server).await;

    let first = pool.scope(pay(7)).await.unwrap();
    let there = other.lock("order:7").caller("other").await.unwrap();
    let waiting = tokio::spawn(pool.scope(pay(7)));
    eventually_async("it waits", || async { heard.lines().len() > 2 }).await;
    let token = there.fencing_token();
    there.release().await;
    let second = waiting.await.unwrap().unwrap();

    let pay = "order:{id} e2e::listener::pay";
    assert_eq!(
        heard.lines(),
        [
            format!("acquired order:7 {pay} {first}"),
            format!("released order:7 {first}"),
            "contended order:7 by another one".to_owned(),
            format!("acquired order:7 {pay} {second}"),
            format!("released order:7 {second}"),
        ]
    );
    assert_eq!(
        others.lines(),
        [
            format!("acquired order:7  other {token}"),
            format!("released order:7 {token}"),
        ]
    );
}

#[tokio::test]
async fn a_loss_is_heard_of_once_and_before_the_release() {
    let server = RedisServer::start();
    let (pool, heard) = heard_pool(&server).await;
    let guard = pool
        .lock("k")
        .ttl(Duration::from_millis(300))
        .await
        .unwrap();
    let token = guard.fencing_token();
    server.raw(&["FLUSHALL"]).unwrap();
    assert_eq!(guard.lost().await, LossReason::Gone);
    eventually_async("it hears", || async { heard.lines().len() == 2 }).await;
    guard.release().await;
    assert_eq!(
        heard.lines()[1..],
        [
            format!("lost k {token} Gone"),
            format!("released k {token}"),
        ]
    );
}

/// Each call of a process that gets the lease passed on is heard of, and calls that never got theirs are not.
#[tokio::test]
async fn calls_of_one_process_are_heard_of_one_by_one() {
    let server = RedisServer::start();
    let (pool, heard) = heard_pool(&server).await;
    let first = pool.lock("k").await.unwrap();
    let second = tokio::spawn(pool.lock("k").acquire());
    let dropped = tokio::spawn(pool.lock("k").acquire());
    eventually_async("both wait", || async { heard.lines().len() == 3 }).await;
    dropped.abort();
    assert!(dropped.await.is_err());
    first.release().await;
    second.await.unwrap().unwrap().release().await;
    let lines = heard.lines();
    let count = |what: &str| lines.iter().filter(|line| line.starts_with(what)).count();
    assert_eq!(count("contended k by this process"), 2, "{lines:?}");
    assert_eq!((count("acquired"), count("released")), (2, 2), "{lines:?}");
}

struct Panics;

impl Listener for Panics {
    fn on_contended(&self, _: &Contended<'_>) {
        panic!("as told");
    }

    fn on_acquired(&self, _: &Acquired<'_>) {
        panic!("as told");
    }

    fn on_lost(&self, _: &Lost<'_>) {
        panic!("as told");
    }

    fn on_released(&self, _: &Released<'_>) {
        panic!("as told");
    }
}

#[tokio::test]
async fn a_listener_that_panics_harms_neither_the_pool_nor_the_next_listener() {
    let server = RedisServer::start();
    server.allow_inspection();
    let heard = Arc::new(Heard::default());
    let builder = LockPool::builder().url(server.url()).listener(Panics);
    let pool = builder.listener(Arc::clone(&heard)).build().await.unwrap();
    let guard = pool.lock("k").await.unwrap();
    let refused = pool.lock("k").wait(Duration::ZERO).acquire().await;
    assert!(refused.unwrap_err().is_busy());
    assert!(pool.force_release("k").await.unwrap());
    drop(guard);
    pool.lock("k").await.unwrap().release().await;
    assert_eq!(pool.stats().restarted, 0);
    assert!(heard.lines().len() >= 4, "{:?}", heard.lines());
}
