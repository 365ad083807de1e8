//! What a call that found its lock held is told.

use std::sync::Arc;
use std::time::Duration;

use crate::Error;

/// Another call held the lock for as long as this call was willing to wait.
///
/// The handler of `on_busy = handler` gets it; it says what [`Error::Busy`] says.
///
/// # Examples
///
/// ```
/// use lockattr::{Busy, distributed_lock};
///
/// #[distributed_lock(key = "report", wait = "0s", on_busy = later)]
/// async fn report() -> Result<String, lockattr::Error> {
///     Ok("written".to_owned())
/// }
///
/// fn later(busy: Busy) -> Result<String, lockattr::Error> {
///     Ok(format!("{} is being written", busy.key()))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lockattr::Error> {
/// # let pool = lockattr::LockPool::memory().await?;
/// let guard = pool.lock("report").await?;
/// # let report = || pool.scope(report());
/// assert_eq!(report().await?, "report is being written");
/// # guard.release().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Busy {
    key: Arc<str>,
    holder: Option<Arc<str>>,
    waited: Duration,
    retry_after: Option<Duration>,
}

impl Busy {
    /// Returns every other error as it is.
    pub(crate) fn of(error: Error) -> Result<Self, Error> {
        match error {
            Error::Busy {
                key,
                waited,
                retry_after,
                holder,
            } => Ok(Self {
                key,
                holder,
                waited,
                retry_after,
            }),
            error => Err(error),
        }
    }

    /// The key that is locked.
    ///
    /// # Examples
    ///
    /// ```
    /// use lockattr::Busy;
    ///
    /// fn later(busy: Busy) -> Result<String, lockattr::Error> {
    ///     Ok(format!("{} is held", busy.key()))
    /// }
    /// ```
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Who holds it, as far as the lock service knows: host, process and function.
    ///
    /// # Examples
    ///
    /// ```
    /// use lockattr::Busy;
    ///
    /// fn later(busy: Busy) -> Result<String, lockattr::Error> {
    ///     Ok(format!("{} has it", busy.holder().unwrap_or("another process")))
    /// }
    /// ```
    pub fn holder(&self) -> Option<&str> {
        self.holder.as_deref()
    }

    /// How long this call waited.
    ///
    /// # Examples
    ///
    /// ```
    /// use lockattr::Busy;
    ///
    /// fn later(busy: Busy) -> Result<String, lockattr::Error> {
    ///     Ok(format!("it was held for {:?}", busy.waited()))
    /// }
    /// ```
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// When the present lease ends if it is not renewed; a hint for `Retry-After`.
    ///
    /// # Examples
    ///
    /// ```
    /// use lockattr::Busy;
    ///
    /// fn later(busy: Busy) -> Result<String, lockattr::Error> {
    ///     Ok(format!("it may be free in {:?}", busy.retry_after()))
    /// }
    /// ```
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_busy_lock_is_busy() {
        let busy = Busy::of(Error::Busy {
            key: "order:42".into(),
            waited: Duration::from_secs(2),
            retry_after: Some(Duration::from_secs(7)),
            holder: Some("web-1/17/charge".into()),
        })
        .unwrap();
        assert_eq!(busy.key(), "order:42");
        assert_eq!(busy.holder(), Some("web-1/17/charge"));
        assert_eq!(busy.waited(), Duration::from_secs(2));
        assert_eq!(busy.retry_after(), Some(Duration::from_secs(7)));
        assert!(matches!(Busy::of(Error::Closed), Err(Error::Closed)));
    }
}
