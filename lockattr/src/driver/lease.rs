//! The holder's view of its lease.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::Span;

use super::tenure::Tenure;
use super::{Call, WeakCommands};
use crate::clock::Time;
use crate::mode::Mode;
use crate::timing::check_ttl;
use crate::{Error, LossReason};

/// Exclusive ownership of a key until a point in time.
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
pub struct Lease(Arc<State>);

struct State {
    tenure: Arc<Tenure>,
    token: u64,
    is_released: AtomicBool,
    call: Arc<Call>,
}

impl Lease {
    pub(crate) fn new(tenure: Arc<Tenure>, token: u64, call: Arc<Call>) -> Self {
        tenure.hold(&call);
        Self(Arc::new(State {
            tenure,
            token,
            is_released: AtomicBool::new(false),
            call,
        }))
    }

    /// The key that is locked.
    pub fn key(&self) -> &str {
        self.0.tenure.key().as_str()
    }

    /// Beside whom the key is held.
    pub fn mode(&self) -> Mode {
        self.0.tenure.mode()
    }

    /// Returns a number that is greater than that of every lease granted for this key before.
    ///
    /// Hand it to the resource that the lock guards, and let the resource refuse smaller numbers
    /// than it has seen: this protects the data when a paused process wakes up after its lease has
    /// ended.
    pub fn fencing_token(&self) -> u64 {
        self.0.token
    }

    /// Returns how long the lease is valid if it is not renewed; zero once it is over.
    pub fn remaining(&self) -> Duration {
        match self.ended() {
            Some(_) => Duration::ZERO,
            None => self.0.tenure.valid_until().since(Time::now()),
        }
    }

    /// Returns whether the lease is valid, by this machine's clock. Cheap enough to call right
    /// before each side effect.
    pub fn is_valid(&self) -> bool {
        self.ended().is_none() && Time::now() < self.0.tenure.valid_until()
    }

    /// Waits until the lease is over, and returns the reason.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future loses nothing.
    pub async fn lost(&self) -> LossReason {
        loop {
            let ended = self.0.tenure.on_end().notified();
            if let Some(reason) = self.ended() {
                return reason;
            }
            ended.await;
        }
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
    /// # Cancel safety
    ///
    /// When the future is dropped, the lease may have been extended or not.
    pub async fn extend(&self, ttl: Duration) -> Result<(), Error> {
        check_ttl(ttl)?;
        if let Some(reason) = self.ended() {
            return Err(self.lost_error(reason));
        }
        let commands = self.pool().upgrade().ok_or(Error::Closed)?;
        let extended = commands.extend(&self.0.tenure, self.0.token, ttl).await;
        match (extended, self.ended()) {
            (Some(Err(Error::Lost { reason, .. })), _)
            | (Some(Err(Error::Closed)) | None, Some(reason)) => Err(self.lost_error(reason)),
            (Some(answer), _) => answer,
            (None, None) => Err(self.lost_error(LossReason::Released)),
        }
    }

    pub(crate) fn lost_error(&self, reason: LossReason) -> Error {
        Error::Lost {
            key: self.0.tenure.key().shared(),
            fencing_token: self.0.token,
            reason,
        }
    }

    /// Returns the reason for which the lease is over, if it is.
    pub(crate) fn over(&self) -> Option<LossReason> {
        match self.ended() {
            Some(reason) => Some(reason),
            None if self.is_valid() => None,
            // The I/O thread has not noticed the end yet.
            None => Some(LossReason::Expired),
        }
    }

    /// Its holder has finished.
    pub(crate) fn release(&self) {
        self.0.is_released.store(true, Ordering::Release);
        self.0.tenure.on_end().notify_waiters();
    }

    pub(crate) fn tenure(&self) -> &Arc<Tenure> {
        &self.0.tenure
    }

    /// The pool that granted it.
    pub(crate) fn pool(&self) -> &WeakCommands {
        self.0.tenure.pool()
    }

    /// The span of the call, in which the body runs.
    pub(crate) fn span(&self) -> Span {
        self.0.call.trace().span().clone()
    }

    fn ended(&self) -> Option<LossReason> {
        if self.0.is_released.load(Ordering::Acquire) {
            return Some(LossReason::Released);
        }
        self.0.tenure.ended()
    }
}

// A panic leaves nothing half done that a lease shows, so a body that holds a lease is as unwind
// safe as without the attribute.
impl UnwindSafe for Lease {}
impl RefUnwindSafe for Lease {}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("key", self.0.tenure.key())
            .field("fencing_token", &self.0.token)
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}
