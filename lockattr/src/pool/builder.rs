//! The settings of a pool.

/// Calls the methods of a builder for the settings that are there.
macro_rules! apply {
    ($builder:ident, $($setting:expr => $method:ident),+ $(,)?) => {
        $(if let Some(value) = $setting {
            $builder = $builder.$method(value);
        })+
    };
}

#[cfg(any(test, feature = "conformance"))]
mod bare;
mod check;
mod connect;
mod custom;
#[cfg(feature = "serde")]
mod settings;
mod variables;

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::{Confirming, LockPool, Offered, Pool, registry};
use crate::Error;
#[cfg(feature = "redis")]
use crate::backend::redis::RedisOptions;
use crate::driver::Commands;
use crate::listener::{Listener, Listeners};
use crate::mode::Mode;
use crate::protocol::Batch;
use crate::service_url::ServiceUrl;
use crate::spec::{Release, Wait};
use custom::CustomService;
#[cfg(feature = "serde")]
pub use settings::PoolSettings;

/// The settings of a [`LockPool`], made by [`LockPool::builder`] or [`LockPool::from_env`].
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lockattr::Error> {
/// use std::time::Duration;
///
/// let pool = lockattr::LockPool::builder()
///     .url("memory://")
///     .default_ttl(Duration::from_secs(20))
///     .default_wait(Duration::from_secs(2))
///     .build()
///     .await?;
/// # pool.shutdown(Duration::from_secs(1)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "settings do nothing until `build` or `install`"]
pub struct LockPoolBuilder {
    service: Option<Service>,
    default_ttl: Duration,
    default_wait: Wait,
    default_release: Release,
    connect_timeout: Duration,
    response_timeout: Duration,
    max_in_flight: usize,
    claim_window: Option<Duration>,
    batch: Batch,
    checks_lock_order: bool,
    required: Vec<Mode>,
    listeners: Listeners,
    #[cfg(feature = "redis")]
    redis: RedisOptions,
}

/// The lock service that the pool uses.
#[derive(Clone)]
enum Service {
    Url(ServiceUrl),
    Custom(CustomService),
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => url.fmt(f),
            Self::Custom(service) => service.place.fmt(f),
        }
    }
}

impl Default for LockPoolBuilder {
    fn default() -> Self {
        Self {
            service: None,
            default_ttl: Duration::from_secs(30),
            default_wait: Wait::For(Duration::from_secs(10)),
            default_release: Release::Await,
            connect_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_millis(500),
            max_in_flight: 256,
            claim_window: None,
            batch: Batch {
                size: 256,
                time: Duration::from_millis(5),
            },
            checks_lock_order: cfg!(debug_assertions),
            required: Vec::new(),
            listeners: Listeners::default(),
            #[cfg(feature = "redis")]
            redis: RedisOptions::default(),
        }
    }
}

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
    ///
    /// `valkey` and `valkeys` mean the same as `redis` and `rediss` in all of them. A cluster is also
    /// found behind the URL of one of its nodes. With Sentinel, user and password are those of the master
    /// and its replicas; `?sentinel_user=…&sentinel_password=…` are those of the sentinels. The database
    /// is 0 unless the path or `?db=` sets another; `?protocol=resp3` is accepted, since the pool speaks
    /// it with every server that does. Other parameters are refused. In a user name or password, percent-encode `/` as
    /// `%2F`, `?` as `%3F`, `#` as `%23`, `@` as `%40` and `%` as `%25`.
    pub fn url(mut self, url: impl AsRef<str>) -> Self {
        self.service = Some(Service::Url(ServiceUrl::new(url.as_ref())));
        self
    }

    /// The settings that only a Redis or Valkey server has.
    #[cfg(feature = "redis")]
    pub fn redis(mut self, options: RedisOptions) -> Self {
        self.redis = options;
        self
    }

    /// The ttl of leases that do not set their own. Defaults to 30 s.
    pub fn default_ttl(mut self, ttl: Duration) -> Self {
        self.default_ttl = ttl;
        self
    }

    /// The `wait` of callers that set none. Defaults to 10 s.
    pub fn default_wait(mut self, wait: impl Into<Wait>) -> Self {
        self.default_wait = wait.into();
        self
    }

    /// Whether calls that set no `release` wait for their release. Defaults to [`Release::Await`].
    pub fn default_release(mut self, release: Release) -> Self {
        self.default_release = release;
        self
    }

    /// How long connecting may take. Defaults to 2 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long the pool waits for one answer of the server, at most a quarter of the ttl (of a ttl
    /// below 1 s: a half, or 250 ms). A connection on which nothing comes for so long is replaced.
    /// Defaults to 500 ms.
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = timeout;
        self
    }

    /// How many requests may be unanswered before further acquires queue in the pool. Defaults to
    /// 256.
    pub fn max_in_flight(mut self, attempts: usize) -> Self {
        self.max_in_flight = attempts;
        self
    }

    /// How long a waiter that died or hangs may delay the waiters behind it when its turn comes,
    /// and how long a lease is kept for a call whose future is not polled. Defaults to 1 s, and to
    /// more if the server is more than 180 ms away. At least 50 ms, and 5.3 round trips and 10.5 ms
    /// (above 250 ms, ten round trips), since a lease that is handed to a waiter has to arrive and
    /// to be confirmed within two fifths of it: [`build`](Self::build) measures the round trip, and
    /// fails with [`Error::Config`] when the window is too short for it.
    pub fn claim_window(mut self, window: Duration) -> Self {
        self.claim_window = Some(window);
        self
    }

    /// How many tasks of this process may have a key one after the other, each passing the lease on
    /// without a request to the server. Defaults to 256; 1 switches this off. Other processes have
    /// their turn in between.
    pub fn batch_size(mut self, holders: u32) -> Self {
        self.batch.size = holders;
        self
    }

    /// How long the lease may be passed on inside this process while others wait for the key. A
    /// holder that is at work when the time ends is not interrupted. Defaults to 5 ms.
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

    /// Connects.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for a wrong setting, or for a server that cannot keep locks or lacks a
    /// [required](Self::require) mode; [`Error::Connect`] when the server cannot be reached within the
    /// connect timeout; [`Error::System`] when the operating system cannot start a thread.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: an unfinished pool ends by itself.
    pub async fn build(self) -> Result<LockPool, Error> {
        let service = self.check()?;
        #[cfg_attr(
            not(feature = "redis"),
            expect(unused_mut, reason = "it has no prefix")
        )]
        let mut place = service.to_string();
        #[cfg(feature = "redis")]
        if matches!(&service, Service::Url(url) if !url.is_memory()) {
            place = format!("{place} prefix={}", self.redis.prefix);
        }
        let commands = self.clone().connect(service).await?;
        self.complete(commands, place).await
    }

    /// Makes a pool of the connections.
    async fn complete(self, commands: Commands, place: String) -> Result<LockPool, Error> {
        #[cfg(feature = "redis")]
        let strict = self.redis.strict;
        #[cfg(not(feature = "redis"))]
        let strict = false;
        #[cfg(feature = "redis")]
        let mut confirming = Confirming::by_default_of(&self.redis);
        #[cfg(not(feature = "redis"))]
        let mut confirming = Confirming::default();
        let all = commands.capabilities();
        confirming.found(all.has_confirmation())?;
        let offered = Offered {
            modes: all.has_modes(),
            min_hold: all.has_min_hold(),
        };
        self.required
            .into_iter()
            .try_for_each(|mode| offered.check_mode(mode))?;
        let pool = LockPool(std::sync::Arc::new(Pool {
            commands,
            default_ttl: self.default_ttl,
            default_wait: self.default_wait,
            default_release: self.default_release,
            shortest_ttl: AtomicU64::new(u64::MAX),
            confirming,
            offered,
            checks_lock_order: self.checks_lock_order,
            place,
        }));
        pool.note_ttl(self.default_ttl);
        pool.check(strict).await?;
        Ok(pool)
    }

    /// Connects, and installs this as the pool of the whole process.
    ///
    /// A pool that was shut down, or that a forked process inherited from its parent, is replaced.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), and [`Error::AlreadyInstalled`] the second time.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped future installs nothing.
    pub async fn install(self) -> Result<LockPool, Error> {
        registry::check_vacant(None)?;
        registry::install(None, self.build().await?)
    }

    /// Connects, and installs this as the pool for `#[distributed_lock(pool = "name")]`.
    ///
    /// # Errors
    ///
    /// As [`install`](Self::install), for each name.
    ///
    /// # Cancel safety
    ///
    /// As [`install`](Self::install).
    pub async fn install_named(self, name: &str) -> Result<LockPool, Error> {
        registry::check_vacant(Some(name))?;
        registry::install(Some(name), self.build().await?)
    }
}

impl fmt::Debug for LockPoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = self.service.as_ref().map(Service::to_string);
        let mut fields = f.debug_struct("LockPoolBuilder");
        #[cfg(feature = "redis")]
        fields.field("redis", &self.redis);
        fields
            .field("service", &service)
            .field("default_ttl", &self.default_ttl)
            .field("default_wait", &self.default_wait)
            .field("default_release", &self.default_release)
            .finish_non_exhaustive()
    }
}
