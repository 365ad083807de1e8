//! A lease held by a value instead of a function.

use std::ops::Deref;

use crate::LossReason;
use crate::driver::{Grant, Lease};

/// Keeps a lease until it is released or dropped.
///
/// Dropping it releases in the background, on the pool's own thread. This also works on panics, on
/// cancellation and when the runtime shuts down. [`release`](Self::release) waits for the release. What can be
/// asked of its [`Lease`] can be asked of the guard.
///
/// A guard can move between tasks, so [`current`](crate::current) and the check for
/// [`Error::Reentrant`](crate::Error::Reentrant) do not see it: prefer
/// [`LockRequest::run`](crate::LockRequest::run) where both are possible.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lockattr::Error> {
/// let pool = lockattr::LockPool::memory().await?;
/// let guard = pool.lock("report").acquire().await?;
/// println!("writing under token {}", guard.fencing_token());
/// guard.release().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "the lock is released as soon as the guard is dropped"]
#[clippy::has_significant_drop]
pub struct Guard(Grant);

impl Guard {
    pub(crate) fn new(grant: Grant) -> Self {
        Self(grant)
    }

    /// Returns the lease that this guard keeps.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let guard = pool.lock("order:42").await?;
    /// let lease = guard.lease().clone(); // may be kept; the guard alone keeps the lock
    /// guard.release().await;
    /// assert!(!lease.is_valid());
    /// # Ok(())
    /// # }
    /// ```
    pub fn lease(&self) -> &Lease {
        self.0.lease()
    }

    /// Releases the lock, and waits until the lock service has confirmed it. If the lease had been lost
    /// before, returns why: then look at what was done under it.
    ///
    /// Waits at most for the pool's `response_timeout`. A lock that is not released by then is
    /// released in the background, traced and counted, or ends after its ttl.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the release goes on when the future is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let guard = pool.lock("report").await?;
    /// if let Some(reason) = guard.release().await {
    ///     println!("another one may have written the report too: {reason}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn release(self) -> Option<LossReason> {
        let lost = self.lease().over();
        self.0.release().await;
        lost
    }
}

impl Deref for Guard {
    type Target = Lease;

    fn deref(&self) -> &Lease {
        self.lease()
    }
}
