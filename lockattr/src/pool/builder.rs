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
mod setters;
#[cfg(feature = "serde")]
mod settings;
mod variables;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::{Confirming, LockPool, Offered, Pool, registry};
use crate::Error;
#[cfg(feature = "redis")]
use crate::backend::redis::RedisOptions;
use crate::backend::{Engine, Service};
use crate::driver::Commands;
use crate::listener::Listeners;
use crate::mode::Mode;
use crate::protocol::Batch;
use crate::service_url::ServiceUrl;
use crate::spec::{Release, Wait};
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
    target: Option<Target>,
    engines: Vec<Arc<dyn Engine>>,
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
enum Target {
    Url(ServiceUrl),
    Service(Service),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => url.fmt(f),
            Self::Service(service) => service.fmt(f),
        }
    }
}

impl Default for LockPoolBuilder {
    fn default() -> Self {
        Self {
            target: None,
            engines: Vec::new(),
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
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// let pool = lockattr::LockPool::builder().url("memory://").build().await?;
    /// pool.lock("order:42").await?.release().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn build(self) -> Result<LockPool, Error> {
        let target = self.check()?;
        #[cfg_attr(
            not(feature = "redis"),
            expect(unused_mut, reason = "it has no prefix")
        )]
        let mut place = target.to_string();
        #[cfg(feature = "redis")]
        if matches!(&target, Target::Url(url) if !url.is_memory()) {
            place = format!("{place} prefix={}", self.redis.prefix);
        }
        let commands = self.clone().connect(target).await?;
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
        let pool = LockPool(Arc::new(Pool {
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
    ///
    /// # Examples
    ///
    /// ```standalone_crate
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// lockattr::LockPool::builder().url("memory://").install().await?;
    /// let pool = lockattr::LockPool::installed()?;
    /// # pool.lock("k").await?.release().await;
    /// # Ok(())
    /// # }
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```standalone_crate
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// lockattr::LockPool::builder().url("memory://").install_named("reports").await?;
    /// let pool = lockattr::LockPool::named("reports")?;
    /// # pool.lock("k").await?.release().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn install_named(self, name: &str) -> Result<LockPool, Error> {
        registry::check_vacant(Some(name))?;
        registry::install(Some(name), self.build().await?)
    }
}

impl fmt::Debug for LockPoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = self.target.as_ref().map(Target::to_string);
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
