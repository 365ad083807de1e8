//! The candidates: the library, its peers with their default retry, and a lock written by hand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lockattr::LockPool;
use lockattr_etcd::Etcd;
use lockattr_postgres::Postgres;
use lockattr_zookeeper::ZooKeeper;
use redis::aio::MultiplexedConnection;
use redis::{Client, Script};

use crate::peers::{AdvisoryLock, CuratorLock, EtcdLock, RETRY, TTL, TableLock};

const WAIT: Duration = Duration::from_secs(120);
const RELEASE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Candidate {
    Lockattr,
    /// Without passing leases on inside a process.
    NoPassing,
    ByHand,
    Rslock,
    AsyncRedisLock,
    /// The lower bound inside one process.
    Mutex,
    Advisory,
    Table,
    Etcd,
    Curator,
}

impl Candidate {
    const ALL: [Self; 10] = [
        Self::Lockattr,
        Self::NoPassing,
        Self::ByHand,
        Self::Rslock,
        Self::AsyncRedisLock,
        Self::Mutex,
        Self::Advisory,
        Self::Table,
        Self::Etcd,
        Self::Curator,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lockattr => "lockattr",
            Self::NoPassing => "lockattr, batch_size 1",
            Self::ByHand => "SET NX PX by hand",
            Self::Rslock => "rslock",
            Self::AsyncRedisLock => "async-redis-lock",
            Self::Mutex => "tokio::sync::Mutex",
            Self::Advisory => "advisory lock",
            Self::Table => "table by hand",
            Self::Etcd => "etcd's lock service",
            Self::Curator => "zookeeper-client",
        }
    }

    pub(crate) fn named(name: &str) -> Self {
        let found = Self::ALL
            .into_iter()
            .find(|candidate| candidate.name() == name);
        found.expect("a candidate's name")
    }

    /// Returns the commands that it sends itself; commands inside scripts do not count.
    pub(crate) fn commands(self) -> &'static [&'static str] {
        match self {
            Self::ByHand | Self::Rslock => &["set", "eval", "evalsha"],
            _ => &["eval", "evalsha"],
        }
    }

    /// Connects to a server or a deployment; Redlock takes the URLs of several servers, with blanks between.
    pub(crate) async fn connect(self, url: &str) -> Locker {
        let pool = LockPool::builder()
            .engine(Postgres::new())
            .engine(Etcd::new())
            .engine(ZooKeeper::new())
            .url(url)
            .default_ttl(TTL)
            .default_wait(WAIT);
        match self {
            Self::Lockattr => Locker::Lockattr(pool.build().await.expect("the server is there")),
            Self::NoPassing => {
                let pool = pool.batch_size(1).build().await;
                Locker::Lockattr(pool.expect("the server is there"))
            }
            Self::ByHand => {
                let client = Client::open(url).expect("a URL");
                let connection = client.get_multiplexed_async_connection().await;
                Locker::ByHand(
                    connection.expect("the server is there"),
                    Script::new(RELEASE),
                )
            }
            Self::Rslock => {
                let mut locks = rslock::LockManager::new(url.split(' ').collect());
                // Its default gives up after three tries.
                locks.set_retry(1_000_000, Duration::from_millis(200));
                Locker::Rslock(locks)
            }
            Self::AsyncRedisLock => {
                let locker = async_redis_lock::Locker::from_redis_url(url).await;
                Locker::AsyncRedisLock(locker.expect("the server is there"))
            }
            Self::Mutex => Locker::Mutex(Arc::default()),
            Self::Advisory => Locker::Advisory(AdvisoryLock::connect(url)),
            Self::Table => Locker::Table(TableLock::connect(url)),
            Self::Etcd => Locker::Etcd(EtcdLock::connect(url).await),
            Self::Curator => Locker::Curator(CuratorLock::connect(url).await),
        }
    }
}

impl From<Candidate> for &'static str {
    fn from(candidate: Candidate) -> Self {
        candidate.name()
    }
}

#[derive(Clone)]
pub(crate) enum Locker {
    Lockattr(LockPool),
    ByHand(MultiplexedConnection, Script),
    Rslock(rslock::LockManager),
    AsyncRedisLock(async_redis_lock::Locker),
    Mutex(Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>>),
    Advisory(AdvisoryLock),
    Table(TableLock),
    Etcd(EtcdLock),
    Curator(CuratorLock),
}

impl Locker {
    /// Acquires, runs the section, releases.
    pub(crate) async fn hold<R>(&self, key: &str, section: impl AsyncFnOnce() -> R) -> R {
        match self {
            Self::Lockattr(pool) => {
                let guard = pool.lock(key).acquire().await.expect("a lease");
                let result = section().await;
                guard.release().await;
                result
            }
            Self::ByHand(connection, release) => {
                let mut connection = connection.clone();
                let mut set = redis::cmd("SET");
                set.arg(key).arg("me").arg("NX").arg("PX").arg(10_000);
                while !set
                    .query_async::<bool>(&mut connection)
                    .await
                    .expect("the server is there")
                {
                    tokio::time::sleep(RETRY).await;
                }
                let result = section().await;
                let released: i64 = release
                    .key(key)
                    .arg("me")
                    .invoke_async(&mut connection)
                    .await
                    .expect("the server is there");
                assert_eq!(released, 1);
                result
            }
            Self::Rslock(locks) => {
                let lock = locks.lock(key, TTL).await.expect("a lock");
                let result = section().await;
                locks.unlock(&lock).await;
                result
            }
            Self::AsyncRedisLock(locker) => {
                let options = async_redis_lock::Options::new()
                    .ttl(TTL)
                    .timeout(Some(WAIT));
                let lock = locker.acquire_with_options(&options, key).await;
                let lock = lock.expect("a lock");
                let result = section().await;
                lock.release().await.expect("the server is there");
                result
            }
            Self::Mutex(locks) => {
                let lock = {
                    let mut all = locks.lock().expect("nobody panics");
                    Arc::clone(all.entry(key.to_owned()).or_default())
                };
                let _guard = lock.lock().await;
                section().await
            }
            Self::Advisory(lock) => lock.hold(key, section).await,
            Self::Table(lock) => lock.hold(key, section).await,
            Self::Etcd(lock) => lock.hold(key, section).await,
            Self::Curator(lock) => lock.hold(key, section).await,
        }
    }
}
