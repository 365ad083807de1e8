//! The program, end to end, on real servers.

mod bench;
mod connection;
mod doctor;
mod documents;
#[cfg(all(feature = "etcd", feature = "postgres", feature = "zookeeper"))]
mod engines;
mod inspect;
mod ls;
mod pictures;
mod program;
mod release;
mod run;
mod terminal;
mod tmux;
mod watch;

use std::time::Duration;

use lockattr::{Guard, LockPool};
use lockattr_tests::{RedisServer, eventually_async};
use tokio::task::JoinHandle;

/// A ttl and a wait that are longer than any test.
const LONG: Duration = Duration::from_secs(600);

/// A server whose user may look at locks too.
fn server() -> RedisServer {
    let server = RedisServer::start();
    server.allow_inspection();
    server
}

async fn pool(server: &RedisServer) -> LockPool {
    let builder = LockPool::builder().url(server.url());
    builder.build().await.unwrap()
}

async fn hold(pool: &LockPool, key: &str) -> Guard {
    pool.lock(key).ttl(LONG).acquire().await.unwrap()
}

/// Waits for a key that is held, with its place in the queue.
async fn wait_for(pool: &LockPool, key: &'static str) -> JoinHandle<Guard> {
    let request = pool.lock(key).ttl(LONG).wait(LONG);
    let waiting = tokio::spawn(async move { request.acquire().await.unwrap() });
    becomes_waited(pool, key).await;
    waiting
}

async fn becomes_waited(pool: &LockPool, key: &str) {
    eventually_async("a call waits", || async {
        let holder = pool.holder(key).await.unwrap();
        holder.is_some_and(|holder| holder.waiters == 1)
    })
    .await;
}
