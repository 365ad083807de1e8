//! A server that is there, but does not do what it is asked.

use std::pin::pin;
use std::time::{Duration, Instant};

use lockattr::{BackendErrorKind, LockPool};
use lockattr_tests::{Direction, Policy, Proxy, RedisServer, Service, eventually};
use tokio::time::timeout;

use super::{held, kind, pool, refused, take_and_release};

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
async fn out_of_memory_refuses_locks_but_releases_them() {
    let server = RedisServer::start();
    let pool = pool(server.url()).await;
    let guard = held(&pool, Duration::from_millis(300)).await;
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

/// Shorter than the response timeout: no call notices.
#[tokio::test]
async fn a_server_that_is_paused_for_a_moment() {
    let server = RedisServer::start();
    let pool = LockPool::builder()
        .url(server.url())
        .response_timeout(Service::LONG)
        .default_ttl(Service::LONG * 4)
        .build()
        .await
        .unwrap();
    for millis in [1, 20, 150] {
        server.pause();
        let mut acquiring = pin!(pool.lock("k").acquire());
        let answer = timeout(Duration::from_millis(millis), &mut acquiring).await;
        answer.expect_err("nobody is there to answer");
        server.resume();
        acquiring.await.unwrap().release().await;
    }
    assert_eq!(pool.stats().failed + pool.stats().release_delayed, 0);
    take_and_release(&pool, &server).await;
}

#[tokio::test]
async fn scripts_that_are_flushed_all_the_time() {
    let server = RedisServer::start();
    let pool = pool(server.url()).await;
    let guard = held(&pool, Duration::from_millis(300)).await;
    let renewed = pool.stats().renewed;
    while pool.stats().renewed < renewed + 5 {
        server.raw(&["SCRIPT", "FLUSH"]).unwrap();
        pool.lock("k").acquire().await.unwrap().release().await;
    }
    assert_eq!(pool.stats().renewal_failed, 0);
    assert!(guard.lease().is_valid());
    guard.release().await;
    take_and_release(&pool, &server).await;
}

#[tokio::test]
async fn clients_that_are_killed_all_the_time() {
    let server = RedisServer::start();
    let pool = pool(server.url()).await;
    let guard = held(&pool, Duration::from_secs(2)).await;
    for _ in 0..200 {
        server.raw(&["CLIENT", "KILL", "TYPE", "normal"]).unwrap();
        server.raw(&["CLIENT", "KILL", "TYPE", "pubsub"]).unwrap();
        let request = pool.lock("k").ttl(Service::LONG).wait(Service::LONG);
        request.acquire().await.unwrap().release().await;
    }
    assert!(guard.lease().is_valid(), "it was renewed in between");
    guard.release().await;
    take_and_release(&pool, &server).await;
}

/// The ttl begins when the server executes the request, after the pause; the validity before it.
#[tokio::test]
async fn clients_that_are_paused() {
    let server = RedisServer::start();
    let builder = LockPool::builder().response_timeout(Duration::from_secs(5));
    let pool = builder.url(server.url()).build().await.unwrap();
    let ttl = Duration::from_secs(8);
    for mode in ["WRITE", "ALL"] {
        server.raw(&["CLIENT", "PAUSE", "300", mode]).unwrap();
        let before = Instant::now();
        let guard = pool.lock("k").ttl(ttl).acquire().await.unwrap();
        let most = ttl.saturating_sub(before.elapsed());
        assert!(guard.lease().remaining() <= most, "{mode}");
        guard.release().await;
    }
    take_and_release(&pool, &server).await;
}

#[tokio::test]
async fn a_server_that_sleeps_for_longer_than_the_ttl() {
    let server = RedisServer::start();
    let pool = pool(server.url()).await;
    let request = pool.lock("k").ttl(Duration::from_millis(200));
    let sleeper = &server;
    let lost = request
        .run(|_| async move {
            let mut connection = sleeper.connection();
            std::thread::spawn(move || {
                let sleep = redis::cmd("DEBUG").arg("SLEEP").arg("0.6").to_owned();
                sleep.exec(&mut connection).unwrap();
            });
            std::future::pending::<()>().await;
        })
        .await
        .unwrap_err();
    assert!(lost.is_lost(), "{lost}");
    take_and_release(&pool, &server).await;
}

/// Another client's script does not end: the call waits for it, or says what is wrong.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_busy_with_a_script() {
    let server = RedisServer::start_with(&["--busy-reply-threshold", "1"]);
    let pool = pool(server.url()).await;
    let spinning = server.begin_endless_script();
    eventually(
        "the server says so",
        || matches!(server.raw(&["GET", "x"]), Err(error) if error.code() == Some("BUSY")),
    );
    let failed = refused(&pool, Duration::from_millis(100)).await;
    assert_eq!(
        kind(&failed),
        Some(BackendErrorKind::Unavailable),
        "{failed}"
    );
    assert!(failed.to_string().contains("BUSY"), "{failed}");
    let waiting = tokio::spawn(pool.lock("k").wait(Service::LONG).acquire());
    server.raw(&["SCRIPT", "KILL"]).unwrap();
    waiting.await.unwrap().unwrap().release().await;
    spinning.join().unwrap();
    take_and_release(&pool, &server).await;
}

#[tokio::test]
async fn a_server_that_is_still_loading() {
    let mut server = RedisServer::start_with(&[
        "--appendonly",
        "yes",
        "--key-load-delay",
        "500",
        "--loading-process-events-interval-bytes",
        "1024",
    ]);
    let pool = pool(server.url()).await;
    server
        .raw(&["DEBUG", "POPULATE", "5000", "filler"])
        .unwrap();
    server.raw(&["BGREWRITEAOF"]).unwrap();
    eventually("it is written", || {
        let info: String = redis::cmd("INFO")
            .arg("persistence")
            .query(&mut server.connection())
            .unwrap();
        info.contains("aof_rewrite_in_progress:0") && info.contains("aof_rewrite_scheduled:0")
    });
    server.begin_restart();
    let mut last = String::new();
    while !last.contains("Loading") {
        let once = pool.lock("k").wait(Duration::from_millis(300)).acquire();
        last = match once.await {
            Ok(_) => panic!("the server was too fast"),
            Err(error) => error.to_string(),
        };
    }
    take_and_release(&pool, &server).await;
}

/// Only the answers to renewals are lost: the holder goes on to the end of its validity and not
/// beyond, and the server has the lock for longer than that.
#[tokio::test]
async fn renewals_whose_answers_are_lost() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let pool = pool(server.url_at(proxy.port())).await;
    let guard = pool
        .lock("k")
        .ttl(Duration::from_millis(400))
        .acquire()
        .await
        .unwrap();
    proxy.set(Direction::Replies, Policy::Drop);
    guard.lease().lost().await;
    assert!(
        !server.locks().is_empty(),
        "the server has heard of the renewals"
    );
    proxy.set(Direction::Replies, Policy::Pass);
    drop(guard);
    take_and_release(&pool, &server).await;
}
