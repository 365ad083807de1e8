//! A server that loses data, or holds foreign values. Where it forgets the holder, two calls are
//! let in, and the fencing token protects: each such test shows both.

use std::time::Duration;

use lockattr::{BackendErrorKind, Lease, LockPool};
use lockattr_tests::{
    Direction, FencedStore, Policy, Proxy, RedisServer, Service, eventually_async,
};
use redis::Value;

use super::{kind, pool};

/// Both believe in their lease; the store accepts the later holder's writes.
fn only_the_token_protects(earlier: &Lease, later: &Lease) {
    assert!(
        earlier.is_valid() && later.is_valid(),
        "{earlier:?}, {later:?}"
    );
    assert!(earlier.fencing_token() < later.fencing_token());
    let dir = std::env::temp_dir().join(format!("lockattr-data-{}", earlier.fencing_token()));
    std::fs::create_dir_all(&dir).unwrap();
    let store = FencedStore::new(&dir);
    let write = |lease: &Lease| store.write(0, lease.fencing_token(), 1).unwrap();
    assert!(write(earlier) && write(later));
    assert!(!write(earlier), "too late");
    std::fs::remove_dir_all(&dir).unwrap();
}

async fn hold(pool: &LockPool) -> lockattr::Guard {
    let request = pool.lock("k").ttl(Service::LONG).wait(Service::LONG);
    request.acquire().await.unwrap()
}

#[tokio::test]
async fn a_foreign_value_is_respected_and_another_type_refused() {
    let server = RedisServer::start();
    let pool = pool(server.url()).await;
    let name = {
        let guard = pool.lock("k").acquire().await.unwrap();
        let name = server.locks().remove(0);
        guard.release().await;
        name
    };
    let mut connection = server.connection();
    redis::cmd("SET")
        .arg(&name)
        .arg("somebody's")
        .exec(&mut connection)
        .unwrap();
    assert!(pool.lock("k").try_acquire().await.unwrap().is_none());
    let waited = pool
        .lock("k")
        .wait(Duration::from_millis(30))
        .acquire()
        .await
        .unwrap_err();
    assert!(waited.is_busy(), "{waited}");
    assert_eq!(server.locks(), std::slice::from_ref(&name));

    redis::cmd("DEL").arg(&name).exec(&mut connection).unwrap();
    redis::cmd("RPUSH")
        .arg(&name)
        .arg("x")
        .exec(&mut connection)
        .unwrap();
    let refused = pool
        .lock("k")
        .wait(Service::LONG)
        .acquire()
        .await
        .unwrap_err();
    assert_eq!(kind(&refused), Some(BackendErrorKind::Refused), "{refused}");
    assert!(refused.to_string().contains("WRONGTYPE"), "{refused}");
}

/// The counter goes back without vanishing, as after a failover to a replica that lags.
#[tokio::test]
async fn a_server_that_goes_back_to_an_older_dump() {
    let mut server = RedisServer::start();
    let (holder, other) = (pool(server.url()).await, pool(server.url()).await);
    hold(&holder).await.release().await;
    server.raw(&["SAVE"]).unwrap();
    for pool in [&holder, &other, &holder] {
        hold(pool).await.release().await;
    }
    let first = hold(&holder).await;
    server.kill();
    server.restart();
    let second = hold(&other).await;
    only_the_token_protects(first.lease(), second.lease());
    let mut last = second.lease().fencing_token();
    first.release().await;
    second.release().await;
    // Each pool has already asked the server since it went back, or asks it for the first time.
    let late = pool(server.url()).await;
    for pool in [&other, &late, &other, &holder, &late] {
        let guard = hold(pool).await;
        let token = guard.lease().fencing_token();
        assert!(token > last, "{token} after {last}");
        last = token;
        guard.release().await;
    }
}

#[tokio::test]
async fn a_server_that_is_killed_and_has_written_everything_down() {
    let mut server = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let (holder, other) = (pool(server.url()).await, pool(server.url()).await);
    let guard = hold(&holder).await;
    for _ in 0..3 {
        server.restart();
        let once = other.lock("k").wait(Duration::from_millis(300)).acquire();
        let refused = once.await.unwrap_err();
        assert!(refused.is_busy(), "{refused}");
    }
    guard.lease().extend(Service::LONG).await.unwrap();
    guard.release().await;
    hold(&other).await.release().await;
    assert!(server.locks().is_empty());
}

#[tokio::test]
async fn a_server_that_is_killed_and_has_written_nothing_down() {
    let mut server = RedisServer::start();
    let (holder, other) = (pool(server.url()).await, pool(server.url()).await);
    let first = hold(&holder).await;
    server.restart();
    let second = hold(&other).await;
    only_the_token_protects(first.lease(), second.lease());
    // The release of a lost lock does no harm.
    first.release().await;
    assert_eq!(server.locks().len(), 1);
    second.release().await;
    assert!(server.locks().is_empty());
}

#[tokio::test]
async fn data_that_another_client_deletes() {
    let server = RedisServer::start();
    let (holder, other) = (pool(server.url()).await, pool(server.url()).await);
    let delete_lock = |server: &RedisServer| {
        let name = server.locks().remove(0);
        server.raw(&["DEL", &name]).unwrap();
    };
    let flush = |server: &RedisServer| {
        server.raw(&["FLUSHALL"]).unwrap();
    };
    for forget in [&delete_lock as &dyn Fn(&RedisServer), &flush] {
        let first = hold(&holder).await;
        forget(&server);
        let second = hold(&other).await;
        only_the_token_protects(first.lease(), second.lease());
        let told = first.lease().extend(Service::LONG).await.unwrap_err();
        assert!(told.is_lost(), "asked, the server says so: {told}");
        assert!(!first.lease().is_valid());
        first.release().await;
        second.release().await;
    }
}

#[tokio::test]
async fn locks_that_are_evicted() {
    for policy in [
        "volatile-ttl",
        "volatile-lru",
        "allkeys-lru",
        "allkeys-random",
    ] {
        let server = RedisServer::start_with(&["--maxmemory-policy", policy]);
        let (holder, other) = (pool(server.url()).await, pool(server.url()).await);
        let first = hold(&holder).await;
        server.raw(&["CONFIG", "SET", "maxmemory", "3mb"]).unwrap();
        let filler = "x".repeat(10_000);
        for n in 0..5_000 {
            // When all evictable data is gone, memory is full.
            let full = server
                .raw(&["SET", &format!("filler:{n}"), &filler])
                .is_err();
            if full || server.locks().is_empty() {
                break;
            }
        }
        assert!(server.locks().is_empty(), "{policy} has evicted nothing");
        server.raw(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
        let second = hold(&other).await;
        only_the_token_protects(first.lease(), second.lease());
        first.release().await;
        second.release().await;
    }
}

/// The queue is a list and the fence a number; if another value is in their place, the call fails
/// with an error, and a present lock is released all the same.
#[tokio::test]
async fn foreign_values_at_the_other_names() {
    let server = RedisServer::start();
    let (holder, other) = (pool(server.url()).await, pool(server.url()).await);
    let guard = hold(&holder).await;
    let lock = server.locks().remove(0);
    let (bucket, _) = lock.split_once("}:").unwrap();
    let queue = format!("{bucket}}}#queue:k");
    server.raw(&["SET", &queue, "somebody's"]).unwrap();
    let refused = other.lock("k").acquire().await.unwrap_err();
    assert_eq!(kind(&refused), Some(BackendErrorKind::Refused), "{refused}");
    guard.release().await;
    assert!(server.locks().is_empty());
    server.raw(&["DEL", &queue]).unwrap();

    let fence = format!("{bucket}}}#fence");
    server.raw(&["DEL", &fence]).unwrap();
    server.raw(&["RPUSH", &fence, "x"]).unwrap();
    let refused = other.lock("k").acquire().await.unwrap_err();
    assert_eq!(kind(&refused), Some(BackendErrorKind::Refused), "{refused}");
    assert!(server.locks().is_empty(), "no lock without a token");

    // Looks like a number to some parsers, but is not one of ours.
    for theirs in [
        "somebody's",
        "",
        " 12",
        "-1",
        "1e3",
        "0x10",
        "nan",
        "99999999999999999999",
    ] {
        server.raw(&["SET", &fence, theirs, "EX", "500"]).unwrap();
        let refused = other.lock("k").acquire().await.unwrap_err();
        assert_eq!(kind(&refused), Some(BackendErrorKind::Refused), "{refused}");
        assert!(refused.to_string().contains("#fence"), "{refused}");
        let left = server.raw(&["GET", &fence]).unwrap();
        assert_eq!(left, Value::BulkString(theirs.into()), "it was overwritten");
        let Value::Int(ttl) = server.raw(&["TTL", &fence]).unwrap() else {
            panic!("a ttl is a number");
        };
        assert!(ttl > 0, "it lost its ttl");
        assert!(server.locks().is_empty(), "no lock without a token");
    }
    server.raw(&["DEL", &fence]).unwrap();
    hold(&other).await.release().await;
}

/// A waiter gives its place up, and the lock that it was handed meanwhile, although a foreign value
/// is in the place of the queue.
#[tokio::test]
async fn a_foreign_value_at_the_queue_keeps_no_lock() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let pool = pool(server.url_at(proxy.port())).await;
    hold(&pool).await.release().await;
    proxy.set(Direction::Replies, Policy::Stall);
    let request = pool.lock("k").ttl(Service::LONG).wait(Duration::ZERO);
    let acquiring = tokio::spawn(request.acquire());
    eventually_async("the server has granted it", || async {
        !server.locks().is_empty()
    })
    .await;
    let lock = server.locks().remove(0);
    let queue = lock.replace("}:k", "}#queue:k");
    server.raw(&["SET", &queue, "somebody's"]).unwrap();
    // Its outcome is unknown, so it may have a place too.
    proxy.cut();
    acquiring.abort();
    proxy.set(Direction::Replies, Policy::Pass);
    eventually_async("it is released", || async { server.locks().is_empty() }).await;
    let left = server.raw(&["GET", &queue]).unwrap();
    assert_eq!(left, Value::BulkString("somebody's".into()));
}
