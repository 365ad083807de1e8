//! The settings, one by one.

use std::time::Duration;

use super::{LockPoolBuilder, Target};
#[cfg(feature = "redis")]
use crate::backend::redis::RedisOptions;
use crate::listener::Listener;
use crate::mode::Mode;
use crate::service_url::ServiceUrl;
use crate::spec::{Release, Wait};

impl LockPoolBuilder {
    /// The URL of the lock service. There is no default.
    ///
    /// | URL | service |
    /// | --- | --- |
    /// | `redis://[user:password@]host[:port][/db]` | a Redis or Valkey server |
    /// | `rediss://…` | the same by TLS (feature `tls`) |
    /// | `redis+unix:///path[?db=…&user=…&pass=…]` | the same by a unix socket; also `unix://` |
    /// | `redis+cluster://[user:password@]host[:port],host…` | a Redis Cluster, by any of its nodes |
    /// | `redis+sentinel://[user:password@]host[:port],host…/name[/db]` | the master that these sentinels call `name`; the port is 26379 unless set |
    /// | `redis+quorum://[user:password@]host[:port],host…[/db]` | a majority of these servers, which know nothing of each other; three or more |
    /// | `rediss+cluster://…`, `rediss+sentinel://…`, `rediss+quorum://…` | the same by TLS (feature `tls`), to all of the servers |
    /// | `memory://`, `memory://name` | this process only; pools share locks by the name |
    /// | `postgres://…`, `etcd://…`, `zookeeper://…` | those services, by the [`engine`](Self::engine) of `lockattr-postgres`, `lockattr-etcd` or `lockattr-zookeeper` |
    ///
    /// `valkey` and `valkeys` mean the same as `redis` and `rediss` in all of them. A cluster is also
    /// found behind the URL of one of its nodes. With Sentinel, user and password are those of the master
    /// and its replicas; `?sentinel_user=…&sentinel_password=…` are those of the sentinels. The database
    /// is 0 unless the path or `?db=` sets another; `?protocol=resp3` is accepted, since the pool speaks
    /// it with every server that does. Other parameters are refused. In a user name or password, percent-encode `/` as
    /// `%2F`, `?` as `%3F`, `#` as `%23`, `@` as `%40` and `%` as `%25`.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// let pool = lockattr::LockPool::builder().url("memory://").build().await?;
    /// let wrong = lockattr::LockPool::builder().url("redit://localhost/").build().await;
    /// assert!(wrong.unwrap_err().to_string().contains("url"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn url(mut self, url: impl AsRef<str>) -> Self {
        self.target = Some(Target::Url(ServiceUrl::new(url.as_ref())));
        self
    }

    /// The settings that only a Redis or Valkey server has.
    ///
    /// # Examples
    ///
    /// ```
    /// use lockattr::{LockPool, RedisOptions};
    ///
    /// let options = RedisOptions::new().prefix("shop");
    /// let builder = LockPool::builder().url("redis://127.0.0.1/").redis(options);
    /// # assert!(format!("{builder:?}").contains("shop"));
    /// ```
    #[cfg(feature = "redis")]
    pub fn redis(mut self, options: RedisOptions) -> Self {
        self.redis = options;
        self
    }

    /// The ttl of leases that do not set their own. Defaults to 30 s.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// use std::time::Duration;
    ///
    /// let builder = lockattr::LockPool::builder().url("memory://");
    /// let pool = builder.default_ttl(Duration::from_secs(10)).build().await?;
    /// # pool.lock("k").await?.release().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn default_ttl(mut self, ttl: Duration) -> Self {
        self.default_ttl = ttl;
        self
    }

    /// The `wait` of callers that set none. Defaults to 10 s.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// use std::time::Duration;
    ///
    /// let builder = lockattr::LockPool::builder().url("memory://");
    /// let pool = builder.default_wait(Duration::from_secs(2)).build().await?;
    /// # pool.lock("k").await?.release().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn default_wait(mut self, wait: impl Into<Wait>) -> Self {
        self.default_wait = wait.into();
        self
    }

    /// Whether calls that set no `release` wait for their release. Defaults to [`Release::Await`].
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// use lockattr::Release;
    ///
    /// let builder = lockattr::LockPool::builder().url("memory://");
    /// let pool = builder.default_release(Release::Background).build().await?;
    /// # pool.lock("k").await?.release().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn default_release(mut self, release: Release) -> Self {
        self.default_release = release;
        self
    }

    /// How long connecting may take. Defaults to 2 s.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// use std::time::Duration;
    ///
    /// let builder = lockattr::LockPool::builder().url("memory://");
    /// let pool = builder.connect_timeout(Duration::from_secs(5)).build().await?;
    /// # pool.lock("k").await?.release().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long the pool waits for one answer of the server, at most a quarter of the ttl (of a ttl
    /// below 1 s: a half, or 250 ms). A connection on which nothing comes for so long is replaced.
    /// Defaults to 500 ms.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// use std::time::Duration;
    ///
    /// let builder = lockattr::LockPool::builder().url("memory://");
    /// let pool = builder.response_timeout(Duration::from_millis(300)).build().await?;
    /// # pool.lock("k").await?.release().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = timeout;
        self
    }

    /// How many requests may be unanswered before further acquires queue in the pool. Defaults to
    /// 256.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// let builder = lockattr::LockPool::builder().url("memory://");
    /// let pool = builder.max_in_flight(1000).build().await?;
    /// # pool.lock("k").await?.release().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_in_flight(mut self, attempts: usize) -> Self {
        self.max_in_flight = attempts;
        self
    }

    /// How long a waiter that died or hangs may delay the waiters behind it when its turn comes,
    /// and how long a lease is kept for a call whose future is not polled. Defaults to 1 s, and to
    /// more if the server is more than 180 ms away. At least 50 ms, and 5.3 round trips and 10.5 ms
    /// (above 250 ms, ten round trips), since a lease that is handed to a waiter has to arrive and
    /// to be confirmed within two fifths of it: [`build`](Self::build) measures the round trip, and
    /// fails with [`Error::Config`](crate::Error::Config) when the window is too short for it.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// use std::time::Duration;
    ///
    /// let builder = lockattr::LockPool::builder().url("memory://");
    /// let pool = builder.claim_window(Duration::from_millis(500)).build().await?;
    /// # pool.lock("k").await?.release().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn claim_window(mut self, window: Duration) -> Self {
        self.claim_window = Some(window);
        self
    }

    /// How many tasks of this process may have a key one after the other, each passing the lease on
    /// without a request to the server. Defaults to 256; 1 switches this off. Other processes have
    /// their turn in between.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// let builder = lockattr::LockPool::builder().url("memory://");
    /// let pool = builder.batch_size(1).build().await?;
    /// # pool.lock("k").await?.release().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn batch_size(mut self, holders: u32) -> Self {
        self.batch.size = holders;
        self
    }

    /// How long the lease may be passed on inside this process while others wait for the key. A
    /// holder that is at work when the time ends is not interrupted. Defaults to 5 ms.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// use std::time::Duration;
    ///
    /// let builder = lockattr::LockPool::builder().url("memory://");
    /// let pool = builder.batch_time(Duration::from_millis(20)).build().await?;
    /// # pool.lock("k").await?.release().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn batch_time(mut self, time: Duration) -> Self {
        self.batch.time = time;
        self
    }

    /// Whether to warn when calls take locks in opposite orders: one function under the attribute (or
    /// [`LockRequest::run`](crate::LockRequest::run)) calls a second one while it holds its lock, and
    /// the second one calls the first one, directly or by others. Two such calls can wait for each
    /// other until their `wait` is over. The first time that it sees both orders in this process, it
    /// traces a warning with both of them, whether or not the calls ran at the same time.
    ///
    /// What counts is the functions, not their keys. Defaults to true in debug builds, else to false.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// let builder = lockattr::LockPool::builder().url("memory://");
    /// let pool = builder.check_lock_order(true).build().await?;
    /// # pool.lock("k").await?.release().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn check_lock_order(mut self, check: bool) -> Self {
        self.checks_lock_order = check;
        self
    }

    /// Fails at start-up, instead of at the first call, where the lock service does not have this mode: not
    /// all of them let readers in together, or have permits.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// use lockattr::{LockPool, Mode};
    ///
    /// let pool = LockPool::builder().url("memory://").require(Mode::Shared).build().await?;
    /// let reader = pool.lock("prices").shared().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn require(mut self, mode: Mode) -> Self {
        self.required.push(mode);
        self
    }

    /// Tells this listener what happens to the pool's locks, besides those given before. See
    /// [`listener`](crate::listener) for an example.
    pub fn listener(mut self, listener: impl Listener) -> Self {
        self.listeners.add(listener);
        self
    }
}
