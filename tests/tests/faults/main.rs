//! The fault matrix: what callers get, and what is left, when something around them fails.
//! `docs/reliability.md` lists the test of each fault.

mod clocks;
mod connections;
mod data;
mod network;
mod processes;
mod setup;
mod states;

use std::time::Duration;

use lockattr::{BackendErrorKind, Error, Guard, LockPool};
use lockattr_tests::RedisServer;

async fn pool(url: String) -> LockPool {
    LockPool::builder().url(url).build().await.unwrap()
}

fn kind(error: &Error) -> Option<BackendErrorKind> {
    match error {
        Error::Backend { source, .. } | Error::Connect { source, .. } => Some(source.kind()),
        _ => None,
    }
}

/// A lease that is held while something else goes wrong.
async fn held(pool: &LockPool, ttl: Duration) -> Guard {
    pool.lock("held").ttl(ttl).acquire().await.unwrap()
}

/// Returns why another key cannot be acquired within its wait.
async fn refused(pool: &LockPool, wait: Duration) -> Error {
    pool.lock("k").wait(wait).acquire().await.unwrap_err()
}

/// Takes and releases the key, and waits until the server has released it.
async fn take_and_release(pool: &LockPool, server: &RedisServer) {
    let request = pool.lock("k").wait(lockattr_tests::Service::LONG);
    request.acquire().await.unwrap().release().await;
    lockattr_tests::eventually_async("nothing is left", || async { server.locks().is_empty() })
        .await;
}
