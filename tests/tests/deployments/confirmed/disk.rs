//! `confirm_fsync`: what the server has on its disk.

use std::time::Duration;

use lockattr::{Error, LockPool, LockPoolBuilder, RedisOptions};
use lockattr_tests::replicated::{FSYNC_RIGHTS, may_confirm};
use lockattr_tests::{RedisServer, Service, eventually, eventually_async};

use super::unconfirmed;

fn builder(server: &RedisServer) -> LockPoolBuilder {
    let options = RedisOptions::new().confirm_fsync(true);
    LockPool::builder().url(server.url()).redis(options)
}

fn start(args: &[&str]) -> RedisServer {
    let server = RedisServer::start_valkey(args);
    may_confirm(&server, &[FSYNC_RIGHTS]);
    server
}

#[tokio::test]
async fn a_lease_is_on_the_disk_before_it_counts() {
    let mut server = start(&["--appendonly", "yes"]);
    let within = Duration::from_secs(5);
    let options = RedisOptions::new()
        .confirm_fsync(true)
        .confirm_within(within);
    let settings = LockPool::builder().url(server.url()).redis(options);
    let pool = settings.default_ttl(Service::LONG).build().await.unwrap();
    let held = pool.lock("k").acquire().await.unwrap();
    server.restart();
    assert_eq!(server.locks().len(), 1);
    may_confirm(&server, &[FSYNC_RIGHTS]);
    eventually_async("the pool is connected again", || async {
        held.lease().extend(Service::LONG).await.is_ok()
    })
    .await;
    held.release().await;
    eventually("it is released", || server.locks().is_empty());
}

/// The server never flushes its file.
#[tokio::test]
async fn a_lease_that_is_not_on_the_disk_is_given_back() {
    let server = start(&["--appendonly", "yes", "--appendfsync", "no"]);
    let pool = builder(&server).build().await.unwrap();
    let once = pool.lock("k").wait(Duration::ZERO).acquire().await;
    let error = once.unwrap_err();
    println!("{error}");
    assert_eq!(unconfirmed(&error), (0, 1));
    assert!(error.to_string().contains("appendfsync"), "{error}");
    eventually("it is given back", || server.locks().is_empty());
}

#[tokio::test]
async fn a_server_that_cannot_is_told_at_start_up() {
    let old = RedisServer::start_redis(&["--appendonly", "yes"]);
    // The command is unknown there, so that no right for it can be given.
    old.raw(&["ACL", "SETUSER", "locker", "+@all"]).unwrap();
    for (server, part) in [(old, "7.2"), (start(&[]), "appendonly yes")] {
        let error = builder(&server).build().await.unwrap_err();
        println!("{error}");
        assert!(
            matches!(
                &error,
                Error::Config {
                    setting: "confirm_fsync",
                    ..
                }
            ),
            "{error}"
        );
        assert!(error.to_string().contains(part), "{error}");
        // And by a call, if the pool does not ask for it.
        let pool = LockPool::builder().url(server.url()).build().await.unwrap();
        let call = pool.lock("k").confirm_fsync(true).acquire().await;
        let text = call.unwrap_err().to_string();
        assert!(text.contains(part), "{text}");
        eventually("it is given back", || server.locks().is_empty());
    }
}

#[tokio::test]
async fn a_file_that_is_closed_later_is_told_by_the_next_call() {
    let server = start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let pool = builder(&server).build().await.unwrap();
    pool.lock("k").acquire().await.unwrap().release().await;
    server.raw(&["CONFIG", "SET", "appendonly", "no"]).unwrap();
    let error = pool.lock("k").acquire().await.unwrap_err();
    assert!(error.to_string().contains("appendonly"), "{error}");
    eventually("it is given back", || server.locks().is_empty());
}
