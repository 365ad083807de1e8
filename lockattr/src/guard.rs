//! A lease held by a value instead of by a function.

use crate::driver::{Grant, Lease};

/// Keeps a lease until it is released or dropped.
///
/// Dropping it releases in the background, on the pool's own thread, and so works on panics, on
/// cancellation and when the runtime shuts down. [`release`](Self::release) waits for it.
///
/// A guard can move between tasks, so [`current`](crate::current) and the check for
/// [`Error::Reentrant`](crate::Error::Reentrant) do not know of it: prefer
/// [`LockRequest::run`](crate::LockRequest::run) where both are possible.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lockattr::Error> {
/// let pool = lockattr::LockPool::memory().await?;
/// let guard = pool.lock("report").acquire().await?;
/// println!("writing under token {}", guard.lease().fencing_token());
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

    /// The lease that this guard keeps.
    pub fn lease(&self) -> &Lease {
        self.0.lease()
    }

    /// Gives the lock up, and waits until the lock service has confirmed it.
    ///
    /// Waits no longer than the pool's `response_timeout`. What could not be released by then is
    /// released in the background, traced and counted, or ends by its ttl.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the release goes on when the future is dropped.
    pub async fn release(self) {
        self.0.release().await;
    }
}
