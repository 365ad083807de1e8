//! Servers, users and URLs that were set up for something else.

use std::time::Duration;

use lockattr::{BackendErrorKind, Error, LockPool, RedisOptions};
use lockattr_tests::{Proxy, RedisServer, Service};

use super::{held, kind, pool, refused};

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
    let failed = refused(&pool, Duration::from_millis(200)).await;
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
async fn strict_refuses_unsafe_settings() {
    let server = RedisServer::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    let refused = LockPool::builder()
        .url(server.admin_url())
        .redis(RedisOptions::new().strict(true))
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
        .redis(RedisOptions::new().strict(true))
        .build()
        .await
        .unwrap();
}

#[tokio::test]
async fn the_unix_socket_and_several_connections_work_too() {
    let server = RedisServer::start();
    let pool = LockPool::builder()
        .url(server.unix_url())
        .redis(RedisOptions::new().connections(4))
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
        .redis(RedisOptions::new().prefix("other"))
        .build()
        .await
        .unwrap();
    let guard = other.lock("k:1").acquire().await.unwrap();
    assert!(server.locks().is_empty(), "another database");
    guard.release().await;
}

#[tokio::test]
async fn errors_say_what_is_wrong_with_a_url() {
    for (url, part) in [
        ("localhost:6379", "scheme"),
        ("mysql://h/", "`mysql` is unknown"),
        ("postgres://h/", "the crate `lockattr-postgres`"),
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

/// The password is changed while a lock is held: the holder keeps it for as long as its connection
/// lasts, then to the end of its validity; a call that asks fails at once.
#[tokio::test]
async fn a_password_that_is_changed() {
    let server = RedisServer::start();
    let user = |password: &str| {
        let password = format!(">{password}");
        server
            .raw(&[
                "ACL", "SETUSER", "app", "reset", "on", &password, "+@all", "~*", "&*",
            ])
            .unwrap();
    };
    user("old");
    let proxy = Proxy::start(server.port());
    let url = format!("redis://app:old@127.0.0.1:{}/", proxy.port());
    let pool = pool(url).await;
    let guard = held(&pool, Duration::from_millis(600)).await;
    user("new");
    proxy.cut();
    guard.lease().lost().await;
    let refused = refused(&pool, Service::LONG).await;
    assert_eq!(kind(&refused), Some(BackendErrorKind::Refused), "{refused}");
    assert!(!refused.to_string().contains("old"), "{refused}");
    drop(guard);
    user("old");
    // The refusal may be over again; the next call finds out.
    let mut taken = pool.lock("k").acquire().await;
    while let Err(error) = &taken {
        assert_eq!(kind(error), Some(BackendErrorKind::Refused), "{error}");
        taken = pool.lock("k").acquire().await;
    }
    taken.unwrap().release().await;
}

#[tokio::test]
async fn rights_that_are_taken_away() {
    let server = RedisServer::start();
    let all = ["ACL", "SETUSER", "app", "on", ">pw", "+@all", "~*", "&*"];
    server.raw(&all).unwrap();
    let pool = pool(format!("redis://app:pw@127.0.0.1:{}/", server.port())).await;
    let guard = held(&pool, Duration::from_millis(600)).await;
    server
        .raw(&["ACL", "SETUSER", "app", "-evalsha", "-eval"])
        .unwrap();
    let refused = refused(&pool, Service::LONG).await;
    assert_eq!(kind(&refused), Some(BackendErrorKind::Refused), "{refused}");
    assert!(refused.to_string().contains("no permissions"), "{refused}");
    guard.lease().lost().await;
    server.raw(&all).unwrap();
    drop(guard);
    pool.lock("k").acquire().await.unwrap().release().await;
}
