//! The errors, separated by what a caller can do about them.

mod backend;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

pub use backend::{BackendError, BackendErrorKind};

use crate::mode::Mode;

/// Why a lock was not acquired, or not kept.
///
/// No variant ever carries a password or an owner id.
///
/// # Examples
///
/// ```
/// fn status(error: &lockattr::Error) -> u16 {
///     match error {
///         lockattr::Error::Busy { .. } => 409,
///         lockattr::Error::Backend { .. } => 503,
///         _ => 500,
///     }
/// }
/// # let busy = lockattr::Error::Closed;
/// # assert_eq!(status(&busy), 500);
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another call held the lock for as long as this call was willing to wait.
    #[error(
        "the lock `{key}` is held by someone else (waited {waited:?}); try again later, or allow a longer `wait`"
    )]
    #[non_exhaustive]
    Busy {
        /// The key that is locked.
        key: Arc<str>,
        /// How long this call waited.
        waited: Duration,
        /// When the present lease ends if it is not renewed; a hint for `Retry-After`.
        retry_after: Option<Duration>,
        /// Who holds it, as far as the lock service knows: host, process and function.
        holder: Option<Arc<str>>,
    },

    /// Others have the key in a mode that does not go with this call's: all calls of a key are exclusive or
    /// shared, or all use the same number of permits.
    #[error(
        "the lock `{key}` is in use as `{held}`, and this call asks for it as `{asked}`; let all calls of a key use the same option, with the same number of permits"
    )]
    #[non_exhaustive]
    OtherMode {
        /// The key.
        key: Arc<str>,
        /// The mode of those that have it.
        held: Mode,
        /// The mode of this call.
        asked: Mode,
    },

    /// The lease ended while it was still needed; `on_lost` decides whether the body was dropped or
    /// ran on.
    #[error(
        "the lock `{key}` (fencing token {fencing_token}) was lost: {reason}; check what was done under it before trying again"
    )]
    #[non_exhaustive]
    Lost {
        /// The key that was locked.
        key: Arc<str>,
        /// The token under which the work was done.
        fencing_token: u64,
        /// Why it was lost.
        reason: LossReason,
    },

    /// The lease came, but nothing polled the call's future, so the lease went to the next call;
    /// and this call's `wait` is over.
    ///
    /// A branch of `select!` that lost and an element of `buffered` are such futures: spawn the
    /// call, or drop its future.
    #[error(
        "the lock `{key}` was granted, but nothing polled this call's future, so it went to the next one (waited {waited:?}); spawn the call instead of keeping its future unpolled, or drop it"
    )]
    #[non_exhaustive]
    Missed {
        /// The key that was to be locked.
        key: Arc<str>,
        /// How long ago this call asked.
        waited: Duration,
    },

    /// The task asked for a key that it already holds: it would wait for itself.
    #[error(
        "this task already holds the lock `{key}`; set `reentrant = true` to nest, or lock a finer key"
    )]
    #[non_exhaustive]
    Reentrant {
        /// The key that is held.
        key: Arc<str>,
    },

    /// The key cannot be locked; nothing was sent.
    #[error("`{key}` is no usable key: {reason}")]
    #[non_exhaustive]
    InvalidKey {
        /// The key, shortened if it is long.
        key: Arc<str>,
        /// What is wrong with it, and what to do.
        reason: &'static str,
    },

    /// There is no pool that could take the lock.
    #[error("no pool {}is installed; call `LockPool::builder().url(…).{}.await` once at start-up, or wrap the call in `pool.scope(…)`",
        .pool.as_ref().map(|name| format!("named `{name}` ")).unwrap_or_default(),
        .pool.as_ref().map_or_else(|| "install()".to_owned(), |name| format!("install_named({name:?})")))]
    #[non_exhaustive]
    NotConfigured {
        /// The name of the missing pool; `None` for the global pool.
        pool: Option<Arc<str>>,
    },

    /// A pool of this name is installed already, and was not shut down.
    #[error("a pool {}is already installed; a process installs each pool once, at start-up, and again only after `shutdown()`",
        .pool.as_ref().map(|name| format!("named `{name}` ")).unwrap_or_default())]
    #[non_exhaustive]
    AlreadyInstalled {
        /// The name; `None` for the global pool.
        pool: Option<Arc<str>>,
    },

    /// A setting is wrong: of the pool, of one call, or of the server.
    #[error("the setting `{setting}` is wrong: {reason}")]
    #[non_exhaustive]
    Config {
        /// Which setting.
        setting: &'static str,
        /// What is wrong with it, and what to do.
        reason: Arc<str>,
    },

    /// The operating system refused a resource that the pool needs.
    #[error(
        "the operating system does not give the pool {what}: {reason}; raise the limits of this process (threads, open files, memory) and build the pool again"
    )]
    #[non_exhaustive]
    System {
        /// The resource.
        what: &'static str,
        /// The operating system's error.
        reason: Arc<str>,
    },

    /// The process was forked after the pool was built: its I/O thread is in the parent only.
    #[error(
        "the pool belongs to process {parent}, from which this one was forked; build or install a pool after the fork"
    )]
    #[non_exhaustive]
    Forked {
        /// The process that built the pool. Its leases are not affected.
        parent: u32,
    },

    /// The lock service could not be reached, refused the request, or did not answer in time.
    #[error("the lock `{key}` could not be acquired, because the lock service failed: {source}")]
    #[non_exhaustive]
    Backend {
        /// The key that was to be locked.
        key: Arc<str>,
        /// The lock service's failure. It is part of this error's text, so
        /// [`source()`](std::error::Error::source) does not repeat it.
        // With the raw name, `thiserror` does not make it the `source()`.
        r#source: BackendError,
    },

    /// The lock service did not answer a question about locks, or refused it.
    #[error("the lock service does not tell who has `{key}`: {source}")]
    #[non_exhaustive]
    Inspection {
        /// The key, or the beginning of the keys that were to be listed.
        key: Arc<str>,
        /// The lock service's failure. It is part of this error's text, so
        /// [`source()`](std::error::Error::source) does not repeat it.
        // With the raw name, `thiserror` does not make it the `source()`.
        r#source: BackendError,
    },

    /// The lock service could not be reached at start-up.
    #[error(
        "no connection to {place}: {source}; check the URL, the credentials and that the server runs"
    )]
    #[non_exhaustive]
    Connect {
        /// The server's address, without credentials.
        place: Arc<str>,
        /// The failure. It is part of this error's text, so [`source()`](std::error::Error::source)
        /// does not repeat it.
        // With the raw name, `thiserror` does not make it the `source()`.
        r#source: BackendError,
    },

    /// The pool was shut down.
    #[error("the pool is shut down; acquire before `shutdown()`, or build a new pool")]
    Closed,

    /// [`shutdown`](crate::LockPool::shutdown) did not finish in its time.
    #[error(
        "{leases} leases could not be released within the time given to `shutdown`; they end by themselves within their ttl"
    )]
    #[non_exhaustive]
    Unreleased {
        /// How many leases are left on the server.
        leases: usize,
    },
}

/// Why a lease was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum LossReason {
    /// It could not be renewed before its validity ended.
    #[error("it could not be renewed before it ran out")]
    Expired,
    /// The server no longer had it: it ran out there, was deleted, or the server lost its data.
    #[error("the server no longer had it")]
    Gone,
    /// It reached its `max_hold`.
    #[error("it was held for as long as `max_hold` allows")]
    MaxHold,
    /// The pool was shut down.
    #[error("the pool was shut down")]
    Shutdown,
    /// The pool's I/O thread panicked, and has started over without its leases.
    #[error("the pool's I/O thread panicked, see its message")]
    Panicked,
    /// It was released.
    #[error("it was already released")]
    Released,
}

impl Error {
    pub(crate) fn config(setting: &'static str, reason: impl Into<Arc<str>>) -> Self {
        Self::Config {
            setting,
            reason: reason.into(),
        }
    }

    pub(crate) fn system(what: &'static str, error: &impl ToString) -> Self {
        Self::System {
            what,
            reason: error.to_string().into(),
        }
    }

    /// Says of a busy lock how long the call has waited in all, if that was in several parts.
    pub(crate) fn after_waiting(mut self, all: Duration) -> Self {
        if let Self::Busy { waited, .. } = &mut self {
            *waited = all;
        }
        self
    }

    /// Returns whether the lock was simply held by another call.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// use std::time::Duration;
    ///
    /// let guard = pool.lock("order:42").await?;
    /// let error = pool.lock("order:42").wait(Duration::ZERO).await.unwrap_err();
    /// assert!(error.is_busy());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }

    /// Returns whether the lock was held and then lost.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// use std::time::Duration;
    ///
    /// let request = pool.lock("order:42").max_hold(Duration::from_millis(100));
    /// let error = request.run(|_lease| std::future::pending::<()>()).await.unwrap_err();
    /// assert!(error.is_lost());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// Returns the error's key, if it has one.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// use std::time::Duration;
    ///
    /// let guard = pool.lock("order:42").await?;
    /// let error = pool.lock("order:42").wait(Duration::ZERO).await.unwrap_err();
    /// assert_eq!(error.key(), Some("order:42"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Busy { key, .. }
            | Self::OtherMode { key, .. }
            | Self::Lost { key, .. }
            | Self::Missed { key, .. }
            | Self::Reentrant { key }
            | Self::InvalidKey { key, .. }
            | Self::Inspection { key, .. }
            | Self::Backend { key, .. } => Some(key),
            _ => None,
        }
    }

    /// Returns how long to wait before trying again, for errors that are temporary.
    ///
    /// The value suits HTTP's `Retry-After`: at least one second, rounded up to whole seconds.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// use std::time::Duration;
    ///
    /// let guard = pool.lock("order:42").await?;
    /// let error = pool.lock("order:42").wait(Duration::ZERO).await.unwrap_err();
    /// assert!(error.retry_after().is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn retry_after(&self) -> Option<Duration> {
        let wait = match self {
            Self::Busy { retry_after, .. } => retry_after.unwrap_or_default(),
            Self::Backend { .. } | Self::Inspection { .. } | Self::Missed { .. } => Duration::ZERO,
            _ => return None,
        };
        let up = u64::from(wait.subsec_nanos() > 0);
        Some(Duration::from_secs((wait.as_secs() + up).max(1)))
    }
}
