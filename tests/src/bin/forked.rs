//! A process that installs a pool and forks: `forked URL`, with [`Preload::fork`] preloaded.
//!
//! [`Preload::fork`]: lockattr_tests::Preload::fork

use std::future::Future;
use std::os::unix::process::parent_id;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;
use std::{env, process};

use lockattr::{Error, Guard, LockPool, distributed_lock};
use rustix::process::{Pid, WaitOptions, waitpid};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(600);
/// A call that waits for a missing thread hangs for longer.
const AT_ONCE: Duration = Duration::from_secs(15);

#[distributed_lock(key = "called", ttl = "600s", wait = "600s")]
async fn call() -> Result<(), Error> {
    Ok(())
}

fn main() {
    let url = env::args().nth(1).expect("usage: forked URL");
    let runtime = new_runtime();
    let (pool, [mut guard, dropped]) = runtime.block_on(async {
        let pool = LockPool::builder().url(&url).install().await.unwrap();
        let guards = [hold(&pool, "held").await, hold(&pool, "dropped").await];
        call().await.unwrap();
        (pool, guards)
    });
    let mut waiting: Acquiring = Box::pin(pool.lock("held").wait(LONG).acquire());
    runtime.block_on(async {
        let polled = waiting
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    });
    // The preloaded library forks here.
    let child = parent_id();
    if child == 0 {
        let checks = async {
            let checks = in_the_child(&url, &pool, guard, dropped, waiting);
            timeout(AT_ONCE, checks).await
        };
        let checks = new_runtime().block_on(checks);
        return checks.expect("a call hangs");
    }
    drop(waiting);
    let child = Pid::from_raw(child.cast_signed()).unwrap();
    let (_, status) = waitpid(Some(child), WaitOptions::empty()).unwrap().unwrap();
    assert_eq!(status.exit_status(), Some(0), "what the child found");
    runtime.block_on(async {
        for kept in [&mut guard, &mut { dropped }] {
            kept.lease().extend(LONG).await.unwrap();
        }
        guard.release().await;
        call().await.unwrap();
        pool.shutdown(AT_ONCE).await.unwrap();
    });
    println!("as it should be, in process {}", process::id());
}

type Acquiring = Pin<Box<dyn Future<Output = Result<Guard, Error>>>>;

async fn in_the_child(
    url: &str,
    pool: &LockPool,
    guard: Guard,
    dropped: Guard,
    waiting: Acquiring,
) {
    let refused = [
        waiting.await.unwrap_err(),
        call().await.unwrap_err(),
        pool.lock("k").wait(LONG).acquire().await.unwrap_err(),
        pool.lock("k").try_acquire().await.unwrap_err(),
        guard.lease().extend(LONG).await.unwrap_err(),
        pool.shutdown(LONG).await.unwrap_err(),
    ];
    for error in refused {
        assert!(matches!(error, Error::Forked { .. }), "{error}");
    }
    guard.release().await;
    drop(dropped);

    let own = LockPool::builder().url(url).install().await.unwrap();
    call().await.unwrap();
    for key in ["held", "dropped"] {
        let taken = own.lock(key).try_acquire().await.unwrap();
        assert!(taken.is_none(), "the parent still holds `{key}`");
    }
    own.shutdown(AT_ONCE).await.unwrap();
    // The parent's pool, which was replaced above, is gone without a trace.
    assert_eq!(own.stats().restarted, 0);
}

async fn hold(pool: &LockPool, key: &str) -> Guard {
    pool.lock(key).ttl(LONG).acquire().await.unwrap()
}

fn new_runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}
