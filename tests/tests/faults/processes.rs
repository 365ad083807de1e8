//! Processes that run out of a resource, and pools with much to release.

use std::future::pending;
use std::io::{BufRead, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use lockattr::{BackendErrorKind, Error, LossReason};
use lockattr_tests::{
    Direction, Policy, Proxy, RedisServer, Service, eventually, eventually_async,
};

use super::{kind, pool, take_and_release};

/// No file is left for a connection: calls fail within their wait, and succeed afterwards.
#[test]
fn a_process_without_files() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let mut worker = Worker::start(&server, &proxy, "starve");
    worker.expect("starving");
    // Its connection ends, and it cannot open another socket.
    proxy.cut();
    worker.go_on();
    let failed = worker.says();
    assert!(failed.contains("Unreachable"), "{failed}");
    worker.expect("recovered");
    assert!(worker.child.wait().unwrap().success());
    eventually("nothing is left", || server.locks().is_empty());
}

/// A process of its own, behind a proxy.
struct Worker {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    fn start(server: &RedisServer, proxy: &Proxy, end: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_worker"))
            .args([&server.url_at(proxy.port()), "k", end])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, said }
    }

    fn says(&mut self) -> String {
        self.said.next().unwrap().unwrap()
    }

    #[track_caller]
    fn expect(&mut self, line: &str) {
        assert_eq!(self.says(), line);
    }

    fn go_on(&mut self) {
        writeln!(self.child.stdin.as_mut().unwrap(), "go on").unwrap();
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// `kill -9` before it learns that it has the lock, while it waits, while it holds the lock, and
/// before it learns that the lock is released: the next process has the key after at most one ttl.
#[tokio::test]
async fn a_process_that_is_killed_in_any_phase() {
    let server = RedisServer::start();
    let other = pool(server.url()).await;
    // From now on the server knows the script, and one request is enough.
    take_and_release(&other, &server).await;
    for phase in ["acquiring", "waiting", "holding", "releasing"] {
        let proxy = Proxy::start(server.port());
        let mut worker = Worker::start(&server, &proxy, "step");
        worker.expect("ready");
        match phase {
            "acquiring" => {
                proxy.set(Direction::Replies, Policy::Stall);
                worker.go_on();
                eventually("it is granted", || !server.locks().is_empty());
                worker.kill();
            }
            "waiting" => {
                let guard = other.lock("k").ttl(Service::LONG).acquire().await.unwrap();
                worker.go_on();
                eventually("it waits", || !server.keys("*#queue:*").is_empty());
                worker.kill();
                guard.release().await;
            }
            "holding" => {
                worker.go_on();
                worker.expect("held");
                worker.kill();
            }
            _ => {
                worker.go_on();
                worker.expect("held");
                proxy.set(Direction::Replies, Policy::Stall);
                worker.go_on();
                eventually("it is released", || server.locks().is_empty());
                worker.kill();
            }
        }
        drop(proxy);
        take_and_release(&other, &server).await;
        assert!(server.keys("*#queue:*").is_empty(), "{phase}");
    }
}

/// A task whose waker panics, on the thread that wakes it.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("as a test");
    }
}

/// Its leases are lost, their bodies are dropped and their waiters get an error; the pool goes on.
#[tokio::test]
async fn an_io_thread_that_panics() {
    let server = RedisServer::start();
    let pool = pool(server.url()).await;
    let ttl = Duration::from_millis(500);
    let body = tokio::spawn(pool.lock("held").ttl(ttl).run(|_| pending::<()>()));
    eventually_async("it is held", || async { pool.stats().acquired > 0 }).await;
    let waiting = tokio::spawn(pool.lock("held").wait(Service::LONG).acquire());
    eventually_async("one waits", || async { pool.stats().waited > 0 }).await;
    {
        let waker = Waker::from(Arc::new(Panics));
        let mut number = 0;
        // On a busy machine the answer may come while the request is made: then nothing is woken.
        let asking = loop {
            number += 1;
            let request = pool.lock(format!("k:{number}")).ttl(ttl);
            let mut asking = Box::pin(request.acquire());
            match asking.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(guard) => {
                    guard.unwrap().release().await;
                }
                Poll::Pending => break asking,
            }
        };
        eventually_async("the body ends", || async { body.is_finished() }).await;
        let lost = body.await.unwrap().unwrap_err();
        assert!(
            matches!(lost, Error::Lost { reason, .. } if reason == LossReason::Panicked),
            "{lost}"
        );
        let refused = waiting.await.unwrap().unwrap_err();
        assert_eq!(kind(&refused), Some(BackendErrorKind::Unavailable));
        let guard = asking.await.unwrap();
        assert!(!guard.lease().is_valid());
        let extended = guard.lease().extend(ttl).await.unwrap_err();
        assert!(extended.is_lost(), "{extended}");
    }
    assert_eq!(pool.stats().restarted, 1);
    let other = pool.lock("other").acquire().await.unwrap();
    other.release().await;
    take_and_release(&pool, &server).await;
}

#[tokio::test]
async fn a_shutdown_with_ten_thousand_locks() {
    let server = RedisServer::start();
    let pool = pool(server.url()).await;
    let mut guards = Vec::new();
    for n in 0..10_000 {
        guards.push(tokio::spawn(
            pool.lock(format!("k:{n}"))
                .ttl(Service::LONG)
                .wait(Service::LONG)
                .acquire(),
        ));
    }
    let mut held = Vec::new();
    for guard in guards {
        held.push(guard.await.unwrap().unwrap());
    }
    assert_eq!(server.locks().len(), 10_000);
    pool.shutdown(Duration::from_secs(60)).await.unwrap();
    assert!(server.locks().is_empty());
    drop(held);
}
