//! What callers get when the server, or the way to it, fails.

use std::time::Duration;

use lockattr::{BackendErrorKind, Error, LockPool};
use lockattr_tests::{Direction, Policy, Proxy, RedisServer, Service, eventually};

async fn pool(url: String) -> LockPool {
    LockPool::builder().url(url).build().await.unwrap()
}

fn kind(error: &Error) -> Option<BackendErrorKind> {
    match error {
        Error::Backend { source, .. } | Error::Connect { source, .. } => Some(source.kind()),
        _ => None,
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_at_startup() {
    let gone = Proxy::start(1);
    gone.refuse(true);
    let builder = LockPool::builder().url(format!("redis://:s3cret@127.0.0.1:{}/", gone.port()));
    let error = builder.build().await.unwrap_err();
    assert_eq!(kind(&error), Some(BackendErrorKind::Unreachable), "{error}");
    assert!(
        error
            .to_string()
            .contains(&format!("127.0.0.1:{}", gone.port()))
    );
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_told_within_the_connect_timeout() {
    let server = RedisServer::start();
    server.pause();
    let builder = LockPool::builder()
        .url(server.url())
        .connect_timeout(Duration::from_millis(100));
    let error = builder.build().await.unwrap_err();
    assert_eq!(kind(&error), Some(BackendErrorKind::Timeout), "{error}");
}

#[tokio::test]
async fn a_server_that_goes_later_fails_acquires_within_their_wait() {
    let mut server = RedisServer::start();
    let pool = pool(server.url()).await;
    let guard = pool.lock("held").acquire().await.unwrap();
    server.kill();
    let failed = pool
        .lock("new")
        .wait(Duration::from_millis(100))
        .acquire()
        .await
        .unwrap_err();
    assert!(matches!(failed, Error::Backend { .. }), "{failed}");
    assert!(pool.lock("new").try_acquire().await.is_err());
    assert!(
        guard.lease().is_valid(),
        "what is held is held until its validity ends"
    );
    server.restart();
    pool.lock("new")
        .wait(Service::LONG)
        .acquire()
        .await
        .unwrap()
        .release()
        .await;
}

#[tokio::test]
async fn a_connection_that_is_cut_is_dialled_anew() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let pool = pool(server.url_at(proxy.port())).await;
    for round in 0..20 {
        proxy.cut();
        let guard = pool.lock("k").ttl(Service::LONG).acquire().await.unwrap();
        proxy.cut();
        guard.release().await;
        eventually(&format!("round {round} is released"), || {
            server.locks().is_empty()
        });
    }
}

#[tokio::test]
async fn a_reply_that_is_lost_is_asked_for_again() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let pool = pool(server.url_at(proxy.port())).await;
    pool.lock("warm").acquire().await.unwrap().release().await;

    proxy.set(Direction::Replies, Policy::Drop);
    let acquiring = tokio::spawn(
        pool.lock("k")
            .ttl(Service::LONG)
            .wait(Service::LONG)
            .acquire(),
    );
    eventually_async_locks(&server).await;
    proxy.cut();
    proxy.set(Direction::Replies, Policy::Pass);
    let guard = acquiring.await.unwrap().unwrap();
    assert_eq!(
        server.locks().len(),
        1,
        "its own lock is not somebody else's"
    );

    guard.release().await;
    assert!(server.locks().is_empty());
    let tombstones = server.keys("*#tomb:*");
    assert_eq!(
        tombstones.len(),
        1,
        "another copy of the first attempt may be on its way: {tombstones:?}"
    );
}

async fn eventually_async_locks(server: &RedisServer) {
    lockattr_tests::eventually_async("the server has granted it", || async {
        !server.locks().is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_request_that_arrives_after_its_caller_gave_up_takes_nothing() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let builder = LockPool::builder()
        .url(server.url_at(proxy.port()))
        .response_timeout(Duration::from_millis(50));
    let pool = builder.build().await.unwrap();
    pool.lock("warm").acquire().await.unwrap().release().await;

    // The attempt is kept on its way for as long as its caller waits.
    proxy.set(Direction::Requests, Policy::Stall);
    let failed = pool
        .lock("k")
        .ttl(Service::LONG)
        .wait(Duration::ZERO)
        .acquire()
        .await
        .unwrap_err();
    assert_eq!(kind(&failed), Some(BackendErrorKind::Timeout), "{failed}");
    proxy.set(Direction::Requests, Policy::Pass);
    eventually("the release is confirmed", || pool.stats().released == 2);
    eventually("no lock is left", || server.locks().is_empty());
    assert_eq!(
        server.keys("*#tomb:*").len(),
        1,
        "the attempt is kept out for as long as it may come"
    );
}

#[tokio::test]
async fn scripts_that_are_flushed_are_sent_again() {
    let server = RedisServer::start();
    let pool = pool(server.url()).await;
    for _ in 0..5 {
        let guard = pool.lock("k").acquire().await.unwrap();
        redis::cmd("SCRIPT")
            .arg("FLUSH")
            .exec(&mut server.connection())
            .unwrap();
        guard.release().await;
        assert!(server.locks().is_empty());
        redis::cmd("SCRIPT")
            .arg("FLUSH")
            .exec(&mut server.connection())
            .unwrap();
    }
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

#[tokio::test]
async fn out_of_memory_refuses_locks_but_releases_them() {
    let server = RedisServer::start();
    let pool = pool(server.url()).await;
    let guard = pool
        .lock("held")
        .ttl(Duration::from_millis(300))
        .acquire()
        .await
        .unwrap();
    redis::cmd("CONFIG")
        .arg("SET")
        .arg("maxmemory")
        .arg(1)
        .exec(&mut server.connection())
        .unwrap();
    let failed = pool
        .lock("new")
        .wait(Duration::from_millis(50))
        .acquire()
        .await
        .unwrap_err();
    assert_eq!(
        kind(&failed),
        Some(BackendErrorKind::Unavailable),
        "{failed}"
    );
    let renewed = pool.stats().renewed;
    eventually("renewal works", || pool.stats().renewed > renewed + 1);
    guard.release().await;
    assert!(server.locks().is_empty());
}

#[tokio::test]
async fn a_replica_is_no_lock_service() {
    let (master, replica) = (RedisServer::start(), RedisServer::start());
    let pool = pool(replica.admin_url()).await;
    let mut connection = replica.connection();
    redis::cmd("REPLICAOF")
        .arg("127.0.0.1")
        .arg(master.port())
        .exec(&mut connection)
        .unwrap();
    let failed = pool
        .lock("k")
        .wait(Duration::from_millis(200))
        .acquire()
        .await
        .unwrap_err();
    assert!(matches!(failed, Error::Backend { .. }), "{failed}");
    let refused = LockPool::builder()
        .url(replica.admin_url())
        .build()
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("replica"), "{refused}");
    redis::cmd("REPLICAOF")
        .arg("NO")
        .arg("ONE")
        .exec(&mut connection)
        .unwrap();
    pool.lock("k")
        .wait(Service::LONG)
        .acquire()
        .await
        .unwrap()
        .release()
        .await;
}

#[tokio::test]
async fn a_server_that_is_paused_for_longer_than_the_ttl() {
    let server = RedisServer::start();
    let pool = pool(server.url()).await;
    let lost = pool
        .lock("k")
        .ttl(Duration::from_millis(300))
        .run(|_| {
            server.pause();
            std::future::pending::<()>()
        })
        .await
        .unwrap_err();
    assert!(lost.is_lost(), "{lost}");
    server.resume();
    let guard = pool.lock("k").wait(Service::LONG).acquire().await.unwrap();
    guard.release().await;
    eventually("nothing is left", || server.locks().is_empty());
}

#[tokio::test]
async fn strict_refuses_unsafe_settings() {
    let server = RedisServer::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    let refused = LockPool::builder()
        .url(server.admin_url())
        .strict(true)
        .build()
        .await
        .unwrap_err();
    let text = refused.to_string();
    assert!(
        matches!(
            refused,
            Error::Config {
                setting: "server",
                ..
            }
        ),
        "{text}"
    );
    assert!(
        text.contains("allkeys-lru") && text.contains("appendonly"),
        "{text}"
    );
    let safe = RedisServer::start_with(&["--appendonly", "yes"]);
    LockPool::builder()
        .url(safe.admin_url())
        .strict(true)
        .build()
        .await
        .unwrap();
}

#[tokio::test]
async fn the_unix_socket_and_several_connections_work_too() {
    let server = RedisServer::start();
    let pool = LockPool::builder()
        .url(server.unix_url())
        .connections(4)
        .build()
        .await
        .unwrap();
    for id in 0..50 {
        pool.lock(format!("k:{id}"))
            .acquire()
            .await
            .unwrap()
            .release()
            .await;
    }
    assert!(server.locks().is_empty());
    let other = LockPool::builder()
        .url(format!("{}1", server.admin_url()))
        .prefix("other")
        .build()
        .await
        .unwrap();
    let guard = other.lock("k:1").acquire().await.unwrap();
    assert!(server.locks().is_empty(), "another database");
    guard.release().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_url_is_said() {
    for (url, part) in [
        ("localhost:6379", "scheme"),
        ("postgres://h/", "`postgres` is unknown"),
        ("redis://127.0.0.1:99999/", "url"),
        ("redis://user:s3cret@127.0.0.1:x/", "url"),
    ] {
        let error = LockPool::builder().url(url).build().await.unwrap_err();
        assert!(
            matches!(error, Error::Config { setting: "url", .. }),
            "{error}"
        );
        let text = format!("{error} {error:?}");
        assert!(text.contains(part) && !text.contains("s3cret"), "{text}");
    }
    let unset = LockPool::builder().build().await.unwrap_err();
    assert!(unset.to_string().contains("memory://"), "{unset}");
}
