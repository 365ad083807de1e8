//! Arguments that come from somebody who means harm.

use std::collections::BTreeSet;

use lockattr::{Error, LockPool, distributed_lock};
use lockattr_tests::{RedisServer, eventually};

/// Texts that would end a name, a field, a line or a command, somewhere.
const HOSTILE: [&str; 20] = [
    "{",
    "}",
    "{other}",
    "}:x",
    ":",
    "a:b",
    "%",
    "%3A",
    "%00",
    "\0",
    "\r\n",
    "\r\n*1\r\n$8\r\nFLUSHALL\r\n",
    "' .. redis.call('FLUSHALL') .. '",
    "]]; redis.call('FLUSHALL'); --",
    "#fence",
    "#tomb:x",
    "🦀",
    "\u{202e}",
    " ",
    "*",
];

#[distributed_lock(key = "tenant:{tenant}:item:{item}", ttl = "10s")]
async fn sell(tenant: &str, item: &str, server: &RedisServer) -> Result<String, Error> {
    let locks = server.locks();
    assert_eq!(locks.len(), 1, "{locks:?}");
    Ok(locks[0].clone())
}

#[tokio::test]
async fn different_values_are_different_locks_and_nothing_else() {
    let server = RedisServer::start();
    server.raw(&["SET", "sentinel", "untouched"]).unwrap();
    let pool = LockPool::builder().url(server.url()).build().await.unwrap();
    let mut names = BTreeSet::new();
    pool.scope(async {
        for tenant in HOSTILE {
            for item in HOSTILE {
                let name = sell(tenant, item, &server).await.unwrap();
                assert!(name.starts_with("lockattr:{"), "{name}");
                assert_eq!(name.matches('{').count(), 1, "{name}");
                assert!(name.is_ascii(), "{name}");
                assert!(names.insert(name), "{tenant:?} and {item:?} share a lock");
            }
        }
    })
    .await;
    eventually("all are released", || server.locks().is_empty());
    assert_eq!(server.keys("sentinel").len(), 1);
}

#[tokio::test]
async fn megabytes_are_refused_in_few_words() {
    let server = RedisServer::start();
    let pool = LockPool::builder().url(server.url()).build().await.unwrap();
    for size in [1025, 1 << 20, 8 << 20] {
        let long = "x".repeat(size);
        let refused = pool.scope(sell("t", &long, &server)).await.unwrap_err();
        assert!(matches!(refused, Error::InvalidKey { .. }), "{refused}");
        let said = format!("{refused} {refused:?}");
        assert!(said.len() < 1000, "{} bytes are said of it", said.len());
        let refused = pool.lock(long).acquire().await.unwrap_err();
        assert!(matches!(refused, Error::InvalidKey { .. }), "{refused}");
    }
    assert_eq!(server.keys("*").len(), 0);
}

/// Keys that are spelled out are not encoded; whatever they hold, it is one name in its own slot.
#[tokio::test]
async fn keys_that_are_spelled_out() {
    let server = RedisServer::start();
    server.raw(&["SET", "sentinel", "untouched"]).unwrap();
    let pool = LockPool::builder().url(server.url()).build().await.unwrap();
    for key in HOSTILE {
        match pool.lock(key).acquire().await {
            Ok(guard) => {
                let name = server.locks().remove(0);
                let (start, end) = (name.find('{').unwrap(), name.find('}').unwrap());
                assert_eq!(end - start, 4, "the first braces are the bucket's: {name}");
                assert!(name.ends_with(key), "{name}");
                guard.release().await;
            }
            Err(error) => assert!(
                matches!(error, Error::InvalidKey { .. }) && key.chars().any(char::is_control),
                "{error}"
            ),
        }
    }
    assert!(server.locks().is_empty());
    assert_eq!(server.keys("sentinel").len(), 1);
}
