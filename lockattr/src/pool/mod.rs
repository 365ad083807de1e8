//! The pool: a handle from which locks are taken.

mod builder;
mod confirming;
mod inspecting;
mod modes;
mod registry;
mod source;

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use builder::LockPoolBuilder;
#[cfg(feature = "serde")]
pub use builder::PoolSettings;
use confirming::Confirming;
pub use inspecting::Holders;
use modes::Offered;
pub use source::PoolSource;
use tracing::warn;

use crate::Error;
use crate::diagnosis::{Diagnosis, Finding, Severity};
use crate::driver::{Acquiring, Commands, PoolStats};
use crate::key::Key;
use crate::label::Label;
use crate::protocol::Terms;
use crate::spec::{Options, Release, Wait};
use crate::timing::check_ttl;

/// Connections, keeper and local queues for one lock service.
///
/// A cheap handle: clones share everything. One pool serves any number of tokio runtimes, because
/// its connections and timers live on a thread of its own.
///
/// # Examples
///
/// ```no_run
/// # async fn start() -> Result<(), lockattr::Error> {
/// lockattr::LockPool::builder()
///     .url("redis://127.0.0.1/")
///     .install()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LockPool(Arc<Pool>);

struct Pool {
    commands: Commands,
    default_ttl: Duration,
    default_wait: Wait,
    default_release: Release,
    /// In nanoseconds: what a lease lasts at least.
    shortest_ttl: AtomicU64,
    confirming: Confirming,
    offered: Offered,
    checks_lock_order: bool,
    /// A name for errors and logs, such as the URL without its password.
    place: String,
}

impl LockPool {
    /// Returns a builder with default settings.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// let pool = lockattr::LockPool::builder().url("memory://").build().await?;
    /// # pool.lock("k").await?.release().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> LockPoolBuilder {
        LockPoolBuilder::default()
    }

    /// Returns a builder with the settings of the environment: `LOCKATTR_URL`, and if they are set
    /// `LOCKATTR_TTL` and `LOCKATTR_WAIT` (such as `10s`; the latter also `forever`). For a Redis
    /// server also `LOCKATTR_PREFIX`, `LOCKATTR_CONNECTIONS`, `LOCKATTR_STRICT` (`true` or `false`),
    /// `LOCKATTR_CONFIRM_REPLICAS`, `LOCKATTR_CONFIRM_FSYNC` (`true` or `false`),
    /// `LOCKATTR_CONFIRM_WITHIN`, `LOCKATTR_MEMBER_TIMEOUT` and `LOCKATTR_RESTART_DELAY`.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming the variable that is missing or wrong.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), lockattr::Error> {
    /// // LOCKATTR_URL=redis://127.0.0.1/
    /// let pool = lockattr::LockPool::from_env()?.install().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_env() -> Result<LockPoolBuilder, Error> {
        LockPoolBuilder::from_variables(|name| std::env::var(name).ok())
    }

    /// Returns a new pool inside this process, for tests and for development.
    ///
    /// # Errors
    ///
    /// [`Error::System`] when its thread cannot be started.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// let pool = lockattr::LockPool::memory().await?;
    /// pool.lock("order:42").await?.release().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn memory() -> Result<Self, Error> {
        Self::builder().url("memory://").build().await
    }

    /// Returns the pool installed for the whole process.
    ///
    /// # Errors
    ///
    /// [`Error::NotConfigured`] when none is.
    ///
    /// # Examples
    ///
    /// ```standalone_crate
    /// let missing = lockattr::LockPool::installed().unwrap_err();
    /// assert!(matches!(missing, lockattr::Error::NotConfigured { .. }));
    /// ```
    pub fn installed() -> Result<Self, Error> {
        registry::find(None)
    }

    /// Returns the pool installed under this name.
    ///
    /// # Errors
    ///
    /// [`Error::NotConfigured`] when none is.
    ///
    /// # Examples
    ///
    /// ```
    /// let missing = lockattr::LockPool::named("reports").unwrap_err();
    /// assert!(missing.to_string().contains("reports"));
    /// ```
    pub fn named(name: &str) -> Result<Self, Error> {
        registry::find(Some(name))
    }

    /// Runs `future` with this pool in place of the installed ones, also in everything that it
    /// awaits without spawning a task. Attributes that name a pool object are not affected.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// #[lockattr::distributed_lock(key = "greeting")]
    /// async fn greet() -> Result<&'static str, lockattr::Error> {
    ///     Ok("hello")
    /// }
    ///
    /// let pool = lockattr::LockPool::memory().await?;
    /// assert_eq!(pool.scope(greet()).await?, "hello");
    /// # Ok(())
    /// # }
    /// ```
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        source::scope(self.clone(), future)
    }

    /// Shuts the pool down: waiting acquisitions fail with [`Error::Closed`], holders lose their
    /// leases, and everything is released on the server.
    ///
    /// Holders have a quarter of `within`, at most 250 ms, to stop by themselves; then their leases
    /// are released nevertheless.
    ///
    /// A service calls this last, when it no longer serves:
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn serve(until: impl Future) {}
    /// # async fn terminated() {}
    /// # async fn end(pool: lockattr::LockPool) -> Result<(), lockattr::Error> {
    /// serve(terminated()).await; // such as axum's `with_graceful_shutdown`
    /// pool.shutdown(Duration::from_secs(5)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Without it, what the runtime drops while `main` returns is still released: the threads that
    /// gave leases back wait for the server's answers when they end, no longer than the pool's
    /// `response_timeout` and 500 ms. This needs destructors of thread-locals on the main thread,
    /// which musl does not run. After `process::exit`, leases that are held end by their ttl.
    ///
    /// # Errors
    ///
    /// [`Error::Unreleased`] when the server did not confirm every release within the time,
    /// [`Error::Forked`] in a process that was forked from the pool's.
    ///
    /// # Cancel safety
    ///
    /// The shutdown goes on when the future is dropped.
    pub async fn shutdown(&self, within: Duration) -> Result<(), Error> {
        self.0.commands.shutdown(within).await
    }

    /// Returns the pool's counts.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// pool.lock("order:42").await?.release().await;
    /// assert_eq!((pool.stats().acquired, pool.stats().lost), (1, 0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn stats(&self) -> PoolStats {
        self.0.commands.counters().read()
    }

    pub(crate) fn commands(&self) -> &Commands {
        &self.0.commands
    }

    pub(crate) fn ttl(&self, options: &Options) -> Duration {
        options.ttl.unwrap_or(self.0.default_ttl)
    }

    pub(crate) fn wait(&self, options: &Options) -> Wait {
        options.wait.unwrap_or(self.0.default_wait)
    }

    pub(crate) fn release(&self, options: &Options) -> Release {
        options.release.unwrap_or(self.0.default_release)
    }

    /// # Errors
    ///
    /// [`Error::Closed`] when the pool is gone.
    pub(crate) async fn examine(&self) -> Result<Diagnosis, Error> {
        let diagnosis = self.0.commands.examine().await?;
        let shortest = Duration::from_nanos(self.0.shortest_ttl.load(Ordering::Relaxed));
        Ok(diagnosis.for_pool(&self.0.place, shortest))
    }

    /// # Errors
    ///
    /// [`Error::Closed`] when the pool is gone.
    pub(crate) async fn pause(&self, pause: Duration) -> Result<(), Error> {
        self.0.commands.pause(pause).await
    }

    pub(crate) fn checks_lock_order(&self) -> bool {
        self.0.checks_lock_order
    }

    /// Warns of what is wrong with the lock service, or refuses it.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] where locks do not work; if it is `strict`, also where they can be lost.
    async fn check(&self, strict: bool) -> Result<(), Error> {
        let diagnosis = self.examine().await?;
        let worst_allowed = if strict {
            Severity::Unknown
        } else {
            Severity::Warning
        };
        let refused = diagnosis.findings().iter();
        let refused = refused.filter(|finding| finding.severity > worst_allowed);
        let refused: Vec<String> = refused.map(Finding::to_string).collect();
        if !refused.is_empty() {
            return Err(Error::config("server", refused.join("; ")));
        }
        for finding in diagnosis.findings() {
            if finding.severity == Severity::Warning {
                let Finding { topic, .. } = finding;
                warn!(server = self.0.place, %topic, "{finding}");
            }
        }
        Ok(())
    }

    fn note_ttl(&self, ttl: Duration) {
        let nanos = u64::try_from(ttl.as_nanos()).unwrap_or(u64::MAX);
        // Mostly there is nothing to write, which would be felt by other processors.
        if nanos < self.0.shortest_ttl.load(Ordering::Relaxed) {
            self.0.shortest_ttl.fetch_min(nanos, Ordering::Relaxed);
        }
    }

    /// # Errors
    ///
    /// [`Error::Config`] for a nested call that asks for more confirmation than the lease has that it
    /// runs under, which is that of a call with the options `outer`.
    pub(crate) fn check_nested(&self, options: &Options, outer: &Options) -> Result<(), Error> {
        self.0.confirming.check_nested(options, outer)
    }

    /// Sends the request for a lease.
    pub(crate) fn begin(
        &self,
        key: Key,
        options: &Options,
        label: Label,
    ) -> Result<Acquiring, Error> {
        let ttl = self.ttl(options);
        check_ttl(ttl)?;
        self.0.offered.check(options, ttl)?;
        self.note_ttl(ttl);
        let wait = self.wait(options);
        let (renew, max_hold) = (options.renew, options.max_hold);
        let confirmation = self.0.confirming.of(options, ttl)?;
        if max_hold.is_some_and(|most| most.is_zero()) {
            return Err(Error::config(
                "max_hold",
                "it is zero: the body could never run",
            ));
        }
        Ok(self.0.commands.acquire(Arc::new(Terms {
            key,
            ttl,
            wait,
            renew,
            max_hold,
            label,
            confirmation,
            mode: options.mode,
            min_hold: options.min_hold,
        })))
    }
}

// Shared state is behind mutexes that survive a panic, or belongs to the I/O thread.
impl UnwindSafe for LockPool {}
impl RefUnwindSafe for LockPool {}

impl fmt::Debug for LockPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LockPool").field(&self.0.place).finish()
    }
}
