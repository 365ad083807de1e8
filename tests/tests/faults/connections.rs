//! Connections that are missing, end, or lose bytes on their way.

use std::time::Duration;

use lockattr::{BackendErrorKind, Error, LockPool};
use lockattr_tests::{
    Direction, Policy, Proxy, RedisServer, Service, eventually, eventually_async,
};
use redis::{FromRedisValue as _, Value};

use super::{held, kind, pool, take_and_release};

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
        "a held lease is held until its validity ends"
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
    eventually_async("the server has granted it", || async {
        !server.locks().is_empty()
    })
    .await;
    proxy.cut();
    proxy.set(Direction::Replies, Policy::Pass);
    let guard = acquiring.await.unwrap().unwrap();
    assert_eq!(
        server.locks().len(),
        1,
        "its own lock is not another call's"
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

/// The connection ends before, in the middle of, or after each request and answer: the call
/// succeeds in the end, and nothing is left.
#[tokio::test]
async fn a_connection_that_ends_at_any_byte() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let pool = pool(server.url_at(proxy.port())).await;
    let mut last_token = 0;
    let requests = (0..1300).step_by(10).map(|n| (Direction::Requests, n));
    let replies = (0..90).map(|n| (Direction::Replies, n));
    let mut cuts = 0;
    for (direction, bytes) in requests.chain(replies) {
        let at = format!("{direction:?} cut after {bytes} bytes");
        proxy.cut_after(direction, bytes);
        let request = pool.lock("k").ttl(Service::LONG).wait(Service::LONG);
        let guard = request.acquire().await.unwrap();
        let token = guard.lease().fencing_token();
        assert!(token > last_token, "{at}: {token} after {last_token}");
        last_token = token;
        // A caller that loses the answer does not know whether the lease is extended.
        let _ = guard.lease().extend(Service::LONG).await;
        assert!(guard.lease().is_valid(), "{at}");
        guard.release().await;
        eventually(&format!("{at}: it is released"), || {
            server.locks().is_empty()
        });
        cuts += usize::from(proxy.has_cut());
    }
    assert!(cuts > 120, "only {cuts} connections ended in time");
}

#[tokio::test]
async fn thousands_of_reconnects_leave_no_connection_behind() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let pool = pool(server.url_at(proxy.port())).await;
    for _ in 0..2000 {
        proxy.cut();
        let request = pool.lock("k").ttl(Service::LONG).wait(Service::LONG);
        request.acquire().await.unwrap().release().await;
    }
    take_and_release(&pool, &server).await;
    let clients = || {
        let list: String = redis::cmd("CLIENT")
            .arg("LIST")
            .query(&mut server.connection())
            .unwrap();
        list.lines().count()
    };
    // The pool's connection, and the one of this test.
    eventually("the old connections are gone", || clients() <= 2);
}

/// Neither side is told that the connection is dead: the lease ends with its validity, not later.
#[tokio::test]
async fn a_connection_that_is_half_open() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let pool = pool(server.url_at(proxy.port())).await;
    let ttl = Duration::from_millis(400);
    let guard = pool.lock("k").ttl(ttl).acquire().await.unwrap();
    proxy.set_both(Policy::Drop);
    guard.lease().lost().await;
    assert!(!guard.lease().is_valid());
    proxy.set_both(Policy::Pass);
    drop(guard);
    take_and_release(&pool, &server).await;
}

/// The server closes the connection with an error or without one.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_no_more_connections() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let pool = pool(server.url_at(proxy.port())).await;
    let guard = held(&pool, Service::LONG).await;
    let mut connection = server.connection();
    let is_passing = |error: &Error| {
        let passing = [BackendErrorKind::Unavailable, BackendErrorKind::Unreachable];
        kind(error).is_some_and(|kind| passing.contains(&kind))
    };
    let mut set = |clients: &str| {
        redis::cmd("CONFIG")
            .arg("SET")
            .arg("maxclients")
            .arg(clients)
            .exec(&mut connection)
            .unwrap();
    };
    set("1");
    // A new pool fails at once …
    let refused = LockPool::builder()
        .url(server.url())
        .build()
        .await
        .unwrap_err();
    assert!(is_passing(&refused), "{refused}");
    // … the present pool goes on with its connection, …
    pool.lock("k").acquire().await.unwrap().release().await;
    // … and when it loses that, tries again for as long as the caller waits.
    proxy.cut();
    let once = pool.lock("k").wait(Duration::from_millis(200)).acquire();
    let failed = once.await.unwrap_err();
    assert!(is_passing(&failed), "{failed}");
    let waiting = tokio::spawn(pool.lock("k").wait(Service::LONG).acquire());
    set("100");
    waiting.await.unwrap().unwrap().release().await;
    assert!(guard.lease().is_valid());
    guard.release().await;
}

/// The server closes a client that does not read, when too much is unread. The client still waits
/// in the queue, and a notification that it missed does no harm.
#[tokio::test]
async fn a_slow_consumer_of_notifications() {
    let limit = ["--client-output-buffer-limit", "pubsub 1mb 0 0"];
    // Valkey 9.1 does not end it for a hundred times as much.
    let server = RedisServer::start_redis(&limit);
    let proxy = Proxy::start(server.port());
    // The timeout is so long that the server ends the connection.
    let builder = LockPool::builder().response_timeout(Service::LONG);
    let slow = builder.url(server.url_at(proxy.port()));
    let slow = slow.build().await.unwrap();
    let channel = match server.raw(&["PUBSUB", "CHANNELS"]).unwrap() {
        Value::Array(channels) => String::from_redis_value(channels[0].clone()).unwrap(),
        other => panic!("{other:?}"),
    };
    let holder = pool(server.url()).await;
    let guard = held(&holder, Service::LONG).await;
    let request = slow.lock("held").ttl(Service::LONG).wait(Service::LONG);
    let waiting = tokio::spawn(request.acquire());
    eventually_async("it waits", || async { slow.stats().waited > 0 }).await;

    proxy.set(Direction::Replies, Policy::Clog);
    let much = "x".repeat(100_000);
    let mut published = 0;
    while server.raw(&["PUBLISH", &channel, &much]).unwrap() != Value::Int(0) {
        published += 1;
        assert!(published < 1000, "the server goes on sending");
    }
    guard.release().await;
    proxy.set(Direction::Replies, Policy::Pass);
    let guard = waiting.await.unwrap().unwrap();
    guard.release().await;
    take_and_release(&slow, &server).await;
}
