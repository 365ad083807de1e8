//! What must not be said, and how few rights are enough.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lockattr::{BackendErrorKind, Error, LockPool};
use lockattr_tests::{Proxy, RedisServer, Service};
use tracing_subscriber::fmt::MakeWriter;

const PASSWORD: &str = "kanarienvogel";

/// Everything that is traced in this process.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The only test of this binary that traces: a subscriber for all threads is one per process.
#[tokio::test]
async fn neither_passwords_nor_owner_ids_show() {
    let captured = Captured::default();
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(captured.clone())
        .init();

    let server = RedisServer::start_open(&["--requirepass", PASSWORD]);
    let proxy = Proxy::start(server.port());
    let builder = LockPool::builder()
        .url(server.url_at(proxy.port()))
        .default_ttl(Duration::from_millis(200));
    let mut said = format!("{builder:?}");
    let pool = builder.build().await.unwrap();
    let guard = pool.lock("k").acquire().await.unwrap();
    let owner = {
        let name = server.locks().remove(0);
        let value: String = redis::cmd("GET")
            .arg(name)
            .query(&mut server.connection())
            .unwrap();
        value.split(':').next().unwrap().to_owned()
    };
    said += &format!("{pool:?} {guard:?} {:?}", pool.lock("k"));
    said += &format!(
        "{}",
        pool.lock("k")
            .wait(Duration::from_millis(10))
            .acquire()
            .await
            .unwrap_err()
    );
    proxy.refuse(true);
    proxy.cut();
    let lost = guard.lease().lost().await;
    let failed = pool
        .lock("k")
        .wait(Duration::from_millis(50))
        .acquire()
        .await
        .unwrap_err();
    said += &format!("{lost:?} {failed} {failed:?}");
    let wrong = LockPool::builder()
        .url(server.url().replace(PASSWORD, "wrong-s3cret"))
        .build()
        .await
        .unwrap_err();
    assert!(
        matches!(&wrong, Error::Connect { source, .. } if source.kind() == BackendErrorKind::Refused),
        "{wrong}"
    );
    said += &format!("{wrong} {wrong:?}");

    let traced = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    for event in [
        "lock acquired",
        "waiting for the lock",
        "lock lost",
        "a renewal failed",
        "no connection to Redis",
    ] {
        assert!(traced.contains(event), "not traced: {event}");
    }
    for secret in [PASSWORD, "wrong-s3cret", owner.as_str()] {
        assert!(!said.contains(secret), "said: {secret}");
        assert!(!traced.contains(secret), "traced: {secret}");
    }
}

#[tokio::test]
async fn a_user_with_the_least_rights_is_enough() {
    let server = RedisServer::start();
    let rights = "-@all ~shop:* &shop:* +eval +evalsha +get +set +del +exists +pexpire +pttl \
                  +time +lpop +lpos +lrem +rpush +publish +subscribe";
    redis::cmd("ACL")
        .arg("SETUSER")
        .arg("locker")
        .arg("on")
        .arg(">pass")
        .arg(rights.split(' ').collect::<Vec<_>>())
        .exec(&mut server.connection())
        .unwrap();
    let url = format!("redis://locker:pass@127.0.0.1:{}/", server.port());
    let pool = LockPool::builder()
        .url(&url)
        .prefix("shop")
        .build()
        .await
        .unwrap();
    let guard = pool.lock("k").ttl(Service::LONG).acquire().await.unwrap();
    guard.lease().extend(Service::LONG).await.unwrap();
    assert!(pool.lock("k").try_acquire().await.unwrap().is_none());
    guard.release().await;
    assert!(server.locks().is_empty());

    let refused = LockPool::builder()
        .url(&url)
        .prefix("other")
        .build()
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, Error::Connect { source, .. } if source.kind() == BackendErrorKind::Refused),
        "{refused}"
    );
}

#[tokio::test]
async fn people_see_who_holds_a_lock() {
    let server = RedisServer::start();
    let pool = LockPool::builder().url(server.url()).build().await.unwrap();
    let guard = pool.lock("k").acquire().await.unwrap();
    let value: String = redis::cmd("GET")
        .arg(&server.locks()[0])
        .query(&mut server.connection())
        .unwrap();
    let parts: Vec<&str> = value.splitn(4, ':').collect();
    assert_eq!(parts[1], guard.lease().fencing_token().to_string());
    assert!(
        parts[2].parse::<u64>().unwrap() > 1_700_000_000_000,
        "since when, in ms"
    );
    let who = format!("/{} tests/tests/security.rs:", std::process::id());
    assert!(parts[3].contains(&who), "{value}");
    guard.release().await;
}
