//! Processes of another version in the same fleet, imitated by their locks and places in the queue.

use std::time::Duration;

use lockattr::{Error, LockPool};
use lockattr_tests::{RedisServer, Service, eventually_async};
use redis::Value;

/// The text before "owner:…" in an older and in a newer format.
const VERSIONS: [&str; 2] = ["", "2:"];
const OWNER: &str = "00112233445566778899aabbccddeeff-1-0";

async fn pool(server: &RedisServer) -> LockPool {
    LockPool::builder().url(server.url()).build().await.unwrap()
}

/// Returns the names of the lock `k` and of its queue.
async fn names(server: &RedisServer, pool: &LockPool) -> (String, String) {
    let guard = pool.lock("k").acquire().await.unwrap();
    let lock = server.locks().remove(0);
    guard.release().await;
    let queue = lock.replace("}:k", "}#queue:k");
    (lock, queue)
}

#[tokio::test]
async fn a_lock_of_another_version_is_held_until_its_owner_deletes_it() {
    for version in VERSIONS {
        let server = RedisServer::start();
        let pool = pool(&server).await;
        let (lock, _) = names(&server, &pool).await;
        let value = format!("{version}{OWNER}:1764000000000000:1764000000000:host/1 shop::pay");
        server.raw(&["SET", &lock, &value, "PX", "600000"]).unwrap();
        let busy = pool.lock("k").try_acquire().await.unwrap();
        assert!(busy.is_none(), "{busy:?}");
        let busy = pool
            .lock("k")
            .wait(Duration::from_millis(50))
            .acquire()
            .await;
        assert!(matches!(busy, Err(Error::Busy { .. })), "{busy:?}");

        let waited = pool.stats().waited;
        let request = pool.lock("k").ttl(Service::LONG).wait(Service::LONG);
        let waiting = tokio::spawn(request.acquire());
        eventually_async("it waits", || async { pool.stats().waited > waited }).await;
        let left = server.raw(&["GET", &lock]).unwrap();
        assert_eq!(left, Value::BulkString(value.into()), "it was changed");
        // Like the release of a process that does not know such a waiter.
        server.raw(&["DEL", &lock]).unwrap();
        let guard = waiting.await.unwrap().unwrap();
        assert!(guard.lease().is_valid());
        guard.release().await;
        assert!(server.locks().is_empty());
    }
}

#[tokio::test]
async fn a_waiter_of_another_version_holds_nobody_up() {
    for version in VERSIONS {
        let server = RedisServer::start();
        let (holder, other) = (pool(&server).await, pool(&server).await);
        let (_, queue) = names(&server, &holder).await;
        let guard = holder.lock("k").ttl(Service::LONG).acquire().await.unwrap();
        let place = format!("{version}{OWNER}:400:1:{OWNER}:host/1 shop::pay");
        server.raw(&["RPUSH", &queue, &place]).unwrap();
        let request = other.lock("k").ttl(Service::LONG).wait(Service::LONG);
        let waiting = tokio::spawn(request.acquire());
        eventually_async("it waits", || async { other.stats().waited > 0 }).await;
        let first = guard.lease().fencing_token();
        guard.release().await;
        let second = waiting.await.unwrap().unwrap();
        assert!(second.lease().fencing_token() > first);
        second.release().await;
        assert!(server.locks().is_empty() && server.keys(&queue).is_empty());
    }
}
