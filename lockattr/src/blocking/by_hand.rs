//! The methods that block.

use std::time::Duration;

use super::block_on::block_on;
use crate::{Error, Guard, Lease, LockPool, LockPoolBuilder, LockRequest, LossReason};

impl LockRequest {
    /// Waits for the lock as [`acquire`](Self::acquire) does, and blocks the thread.
    ///
    /// On a worker of a multi-thread runtime, another thread runs the worker's other tasks in the
    /// meantime. In a current-thread runtime nothing else runs there. So if another task of that
    /// runtime holds the lock, it cannot release it: the call fails with [`Error::Busy`] after its
    /// `wait`, and never returns if that is [`Wait::Forever`](crate::Wait::Forever).
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), lockattr::Error> {
    /// let pool = lockattr::LockPool::builder().url("memory://").build_blocking()?;
    /// let guard = pool.lock("report").acquire_blocking()?;
    /// println!("writing under token {}", guard.fencing_token());
    /// guard.release_blocking();
    /// # Ok(())
    /// # }
    /// ```
    pub fn acquire_blocking(self) -> Result<Guard, Error> {
        block_on(self.acquire())
    }

    /// Takes the lock if it is free; returns `None` if another call holds it.
    ///
    /// Blocks the thread for a round trip.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::builder().url("memory://").build_blocking()?;
    /// let guard = pool.lock("report").acquire_blocking()?;
    /// assert!(pool.lock("report").try_acquire_blocking()?.is_none());
    /// # guard.release_blocking();
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_acquire_blocking(self) -> Result<Option<Guard>, Error> {
        block_on(self.try_acquire())
    }

    /// Waits for the lock and runs `body` under it, as the attribute does on a plain function.
    ///
    /// Blocks as [`acquire_blocking`](Self::acquire_blocking). Nothing stops a body that blocks: it
    /// runs to its end also when the lease is lost.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire), and [`Error::Lost`] when the lease was over at the body's end;
    /// with [`OnLost::Finish`](crate::OnLost::Finish) the value is returned nevertheless.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), lockattr::Error> {
    /// let pool = lockattr::LockPool::builder().url("memory://").build_blocking()?;
    /// let sum = pool.lock("sum").run_blocking(|_lease| 1 + 1)?;
    /// assert_eq!(sum, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn run_blocking<R>(self, body: impl FnOnce(Lease) -> R) -> Result<R, Error> {
        block_on(self.without_cancelling().run(async |lease| body(lease)))
    }
}

impl Guard {
    /// Releases the lock as [`release`](Self::release) does, and blocks the thread until the lock
    /// service has confirmed it.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::builder().url("memory://").build_blocking()?;
    /// pool.lock("report").acquire_blocking()?.release_blocking();
    /// # Ok(())
    /// # }
    /// ```
    pub fn release_blocking(self) -> Option<LossReason> {
        block_on(self.release())
    }
}

impl Lease {
    /// Makes the lease last `ttl` from now on, as [`extend`](Self::extend) does, and blocks the
    /// thread until the lock service has confirmed it.
    ///
    /// # Errors
    ///
    /// As [`extend`](Self::extend).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), lockattr::Error> {
    /// # use std::time::Duration;
    /// # let pool = lockattr::LockPool::builder().url("memory://").build_blocking()?;
    /// let guard = pool.lock("report").ttl(Duration::from_secs(1)).acquire_blocking()?;
    /// guard.extend_blocking(Duration::from_secs(60))?;
    /// assert!(guard.remaining() > Duration::from_secs(50));
    /// # Ok(())
    /// # }
    /// ```
    pub fn extend_blocking(&self, ttl: Duration) -> Result<(), Error> {
        block_on(self.extend(ttl))
    }
}

impl LockPoolBuilder {
    /// Connects as [`build`](Self::build) does, and blocks the thread.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), lockattr::Error> {
    /// let pool = lockattr::LockPool::builder().url("memory://").build_blocking()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn build_blocking(self) -> Result<LockPool, Error> {
        block_on(self.build())
    }

    /// Connects, and installs this as the pool of the whole process, as [`install`](Self::install)
    /// does. Blocks the thread.
    ///
    /// # Errors
    ///
    /// As [`install`](Self::install).
    ///
    /// # Examples
    ///
    /// ```
    /// use lockattr::distributed_lock;
    ///
    /// #[distributed_lock(key = "report:{day}", ttl = "10s")]
    /// fn build(day: u32) -> Result<String, lockattr::Error> {
    ///     Ok(format!("the report of day {day}"))
    /// }
    ///
    /// fn main() -> Result<(), lockattr::Error> {
    ///     lockattr::LockPool::builder().url("memory://").install_blocking()?;
    ///     assert_eq!(build(42)?, "the report of day 42");
    ///     Ok(())
    /// }
    /// ```
    pub fn install_blocking(self) -> Result<LockPool, Error> {
        block_on(self.install())
    }

    /// Connects, and installs this as the pool for `#[distributed_lock(pool = "name")]`, as
    /// [`install_named`](Self::install_named) does. Blocks the thread.
    ///
    /// # Errors
    ///
    /// As [`install_named`](Self::install_named).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), lockattr::Error> {
    /// lockattr::LockPool::builder().url("memory://").install_named_blocking("reports")?;
    /// assert!(lockattr::LockPool::named("reports").is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn install_named_blocking(self, name: &str) -> Result<LockPool, Error> {
        block_on(self.install_named(name))
    }
}

impl LockPool {
    /// Runs `body` with this pool in place of the installed ones, as [`scope`](Self::scope) does.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), lockattr::Error> {
    /// #[lockattr::distributed_lock(key = "greeting")]
    /// fn greet() -> Result<&'static str, lockattr::Error> {
    ///     Ok("hello")
    /// }
    ///
    /// let pool = lockattr::LockPool::builder().url("memory://").build_blocking()?;
    /// assert_eq!(pool.scope_blocking(greet)?, "hello");
    /// # Ok(())
    /// # }
    /// ```
    pub fn scope_blocking<R>(&self, body: impl FnOnce() -> R) -> R {
        block_on(self.scope(async { body() }))
    }

    /// Shuts the pool down as [`shutdown`](Self::shutdown) does, and blocks the thread.
    ///
    /// # Errors
    ///
    /// As [`shutdown`](Self::shutdown).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), lockattr::Error> {
    /// # use std::time::Duration;
    /// let pool = lockattr::LockPool::builder().url("memory://").build_blocking()?;
    /// pool.shutdown_blocking(Duration::from_secs(1))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn shutdown_blocking(&self, within: Duration) -> Result<(), Error> {
        block_on(self.shutdown(within))
    }
}
