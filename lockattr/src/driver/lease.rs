//! The holder's view of its lease.

mod part;

use std::fmt;
use std::iter::once;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{join_all, select_all};
use tracing::Span;

use super::tenure::Tenure;
use super::{Call, WeakCommands};
use crate::mode::Mode;
use crate::timing::check_ttl;
use crate::{Error, LossReason};
use part::Part;

/// Ownership of a key, or of [several](crate::LockPool::lock_all), until a point in time: alone, or beside others
/// as far as its [mode](Self::mode) says.
///
/// Clones refer to the same lease. None of them keeps it: the lease ends when the function under
/// the attribute does, or when its [`Guard`](crate::Guard) is released or dropped.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lockattr::Error> {
/// let pool = lockattr::LockPool::memory().await?;
/// let guard = pool.lock("order:42").acquire().await?;
/// let lease = guard.lease().clone();
/// assert!(lease.is_valid());
/// guard.release().await;
/// assert!(!lease.is_valid());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Lease {
    first: Arc<Part>,
    /// Those of the other keys, in the order of the keys. `None` for one key.
    others: Option<Arc<[Arc<Part>]>>,
}

impl Lease {
    pub(crate) fn new(tenure: Arc<Tenure>, token: u64, call: Arc<Call>) -> Self {
        tenure.hold(&call, token);
        Self {
            first: Arc::new(Part {
                tenure,
                token,
                is_released: AtomicBool::new(false),
                call,
            }),
            others: None,
        }
    }

    /// One lease of all these keys.
    pub(super) fn joined<'a>(first: &Self, others: impl Iterator<Item = &'a Self>) -> Self {
        Self {
            first: Arc::clone(&first.first),
            others: Some(others.map(|one| Arc::clone(&one.first)).collect()),
        }
    }

    /// The key that is locked; the first in order, if there are [several](Self::keys).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let guard = pool.lock("order:42").await?;
    /// assert_eq!(guard.lease().key(), "order:42");
    /// # Ok(())
    /// # }
    /// ```
    pub fn key(&self) -> &str {
        self.first.key()
    }

    /// The keys that are locked, in order.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let guard = pool.lock_all(["b", "a"]).acquire().await?;
    /// assert!(guard.lease().keys().eq(["a", "b"]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.parts().map(|part| part.key())
    }

    /// Beside whom the key is held.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let guard = pool.lock("prices").shared().await?;
    /// assert_eq!(guard.mode(), lockattr::Mode::Shared);
    /// # Ok(())
    /// # }
    /// ```
    pub fn mode(&self) -> Mode {
        self.first.tenure.mode()
    }

    /// Returns a number that is greater than that of every lease granted for this key before.
    ///
    /// Hand it to the resource that the lock guards, and let the resource refuse smaller numbers
    /// than it has seen: this protects the data when a paused process wakes up after its lease has
    /// ended.
    ///
    /// If there are several keys, each has a number of its own, and this is the first key's: use
    /// [`token_of`](Self::token_of).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let guard = pool.lock("order:42").await?;
    /// let earlier = guard.fencing_token();
    /// guard.release().await;
    /// let guard = pool.lock("order:42").await?;
    /// assert!(guard.fencing_token() > earlier);
    /// # Ok(())
    /// # }
    /// ```
    pub fn fencing_token(&self) -> u64 {
        self.first.token
    }

    /// Returns the [fencing token](Self::fencing_token) of this key; `None` if it is not one of the
    /// lease's.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let guard = pool.lock_all(["account:1", "account:2"]).acquire().await?;
    /// assert!(guard.token_of("account:2").is_some());
    /// assert_eq!(guard.token_of("account:3"), None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn token_of(&self, key: &str) -> Option<u64> {
        let part = self.parts().find(|part| part.key() == key);
        part.map(|part| part.token)
    }

    /// Returns how long the lease is valid if it is not renewed; zero once it is over. Of several
    /// keys, the one that ends first counts.
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
    /// assert!(guard.remaining() > Duration::from_secs(20), "of the 30 s that are the default");
    /// # let lease = guard.lease().clone();
    /// # guard.release().await;
    /// # assert_eq!(lease.remaining(), Duration::ZERO);
    /// # Ok(())
    /// # }
    /// ```
    pub fn remaining(&self) -> Duration {
        let all = self.parts().map(|part| part.remaining());
        all.min().unwrap_or_default()
    }

    /// Returns when the lease ends if it is not renewed; the present moment once it is over.
    ///
    /// It is meant for deadlines of what is done under the lease, such as a request's; tokio's
    /// `Instant` can be made of it. An `Instant` cannot be set by anybody, as the time of day can, but it
    /// stands still while the machine is suspended, and the lease does not: ask
    /// [`is_valid`](Self::is_valid) before a side effect.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// use std::time::Instant;
    ///
    /// let guard = pool.lock("order:42").await?;
    /// let deadline = guard.expires_at(); // for a request that is made under the lease
    /// assert!(deadline > Instant::now());
    /// # Ok(())
    /// # }
    /// ```
    pub fn expires_at(&self) -> Instant {
        // In this order it is never too late.
        let now = Instant::now();
        now + self.remaining()
    }

    /// Returns whether the lease is valid, by this machine's clock: for all of its keys. Cheap enough
    /// to call right before each side effect.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let guard = pool.lock("order:42").await?;
    /// if guard.is_valid() {
    ///     println!("writing now");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_valid(&self) -> bool {
        self.parts().all(|part| part.is_valid())
    }

    /// Waits until the lease is over, of whichever key, and returns the reason.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future loses nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let guard = pool.lock("order:42").await?;
    /// let lease = guard.lease().clone();
    /// let ends = tokio::spawn(async move { lease.lost().await });
    /// guard.release().await;
    /// assert_eq!(ends.await.unwrap(), lockattr::LossReason::Released);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn lost(&self) -> LossReason {
        if self.others.is_none() {
            return self.first.lost().await;
        }
        let all = self.parts().map(|part| Box::pin(part.lost()));
        select_all(all).await.0
    }

    /// Makes the lease last `ttl` from now on, and be renewed with this ttl. Never shortens it.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] when the lease is over; [`Error::Backend`] when the lock service did not
    /// confirm, in which case the lease is unchanged; [`Error::Config`] for a ttl outside 50 ms to
    /// 24 h, or longer than `max_hold` lets the lease last; [`Error::Closed`] when the pool is
    /// gone.
    ///
    /// If there are several keys, the error is that of the first key that has one; the others may have
    /// been extended.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the lease may have been extended or not.
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
    /// guard.extend(Duration::from_secs(60)).await?;
    /// assert!(guard.remaining() > Duration::from_secs(50));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn extend(&self, ttl: Duration) -> Result<(), Error> {
        check_ttl(ttl)?;
        if self.others.is_none() {
            return self.first.extend(ttl).await;
        }
        let answers = join_all(self.parts().map(|part| part.extend(ttl))).await;
        answers.into_iter().collect()
    }

    /// Returns the error for the key whose lease is over.
    pub(crate) fn lost_error(&self, reason: LossReason) -> Error {
        let over = self.parts().find(|part| part.over().is_some());
        over.unwrap_or(&self.first).lost_error(reason)
    }

    /// Returns the reason for which the lease is over, if it is.
    pub(crate) fn over(&self) -> Option<LossReason> {
        self.parts().find_map(|part| part.over())
    }

    /// Its holder has finished with the first key.
    pub(super) fn release(&self) {
        self.first.is_released.store(true, Ordering::Release);
        self.first.tenure.on_end().notify_waiters();
    }

    /// That of the first key.
    pub(super) fn tenure(&self) -> &Arc<Tenure> {
        &self.first.tenure
    }

    /// The pool that granted it.
    pub(crate) fn pool(&self) -> &WeakCommands {
        self.first.tenure.pool()
    }

    /// The call that has it.
    pub(super) fn call(&self) -> &Call {
        &self.first.call
    }

    /// The span of the call, in which the body runs.
    pub(crate) fn span(&self) -> Span {
        self.first.call.trace().span().clone()
    }

    fn parts(&self) -> impl Iterator<Item = &Arc<Part>> {
        once(&self.first).chain(self.others.iter().flat_map(|others| others.iter()))
    }
}

// A panic leaves nothing half done that a lease shows, so a body that holds a lease is as unwind
// safe as without the attribute.
impl UnwindSafe for Lease {}
impl RefUnwindSafe for Lease {}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("Lease");
        for part in self.parts() {
            fields
                .field("key", part.tenure.key())
                .field("fencing_token", &part.token);
        }
        fields
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}
