//! Locks as people write them by hand, on a connection of the caller's runtime.

use redis::aio::MultiplexedConnection;
use redis::{Client, Script};

const RELEASE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

/// `SET NX PX`, and a script that compares and deletes.
#[derive(Clone)]
pub(crate) struct Plain {
    connection: MultiplexedConnection,
    release: Script,
}

impl Plain {
    pub(crate) async fn connect(url: &str) -> redis::RedisResult<Self> {
        let connection = Client::open(url)?
            .get_multiplexed_async_connection()
            .await?;
        Ok(Self {
            connection,
            release: Script::new(RELEASE),
        })
    }

    pub(crate) async fn pair(&mut self, key: &str) -> redis::RedisResult<()> {
        redis::cmd("SET")
            .arg(key)
            .arg("me")
            .arg("NX")
            .arg("PX")
            .arg(10_000)
            .exec_async(&mut self.connection)
            .await?;
        self.release
            .key(key)
            .arg("me")
            .invoke_async(&mut self.connection)
            .await
    }
}

/// The library's own scripts, without the library.
#[derive(Clone)]
pub(crate) struct SameScripts {
    connection: MultiplexedConnection,
    acquire: Script,
    release: Script,
}

impl SameScripts {
    pub(crate) async fn connect(url: &str) -> redis::RedisResult<Self> {
        Ok(Self {
            connection: Client::open(url)?
                .get_multiplexed_async_connection()
                .await?,
            acquire: Script::new(include_str!(
                "../../lockattr/src/backend/redis/lua/acquire.lua"
            )),
            release: Script::new(include_str!(
                "../../lockattr/src/backend/redis/lua/release.lua"
            )),
        })
    }

    pub(crate) async fn pair(&mut self, key: &str) -> redis::RedisResult<()> {
        let (lock, fence, tombstone) = (format!("b:{{0}}:{key}"), "b:{0}#fence", "b:{0}#tomb:me");
        let acquired: (i64, String) = self
            .acquire
            .key(&lock)
            .key(fence)
            .key(tombstone)
            .arg(key)
            .arg(10_000)
            .arg("who")
            .invoke_async(&mut self.connection)
            .await?;
        assert_eq!(acquired.0, 1, "nobody else uses this key");
        self.release
            .key(&lock)
            .arg(key)
            .invoke_async(&mut self.connection)
            .await
    }
}
