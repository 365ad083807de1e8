//! What a holder sees of its lease.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tracing::Span;

use crate::clock::Time;
use crate::driver::{Call, CallTrace, WeakCommands};
use crate::key::Key;
use crate::timing::{MAX_TTL, MIN_TTL};
use crate::{Error, LossReason};

/// Exclusive ownership of a key until a point in time.
///
/// Clones speak of the same lease. None of them keeps it: the lease ends when the function under
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

/// What the lock service granted to this process: the leases of one task after the other.
#[derive(Debug)]
pub(crate) struct Tenure {
    id: u64,
    key: Key,
    valid_until: AtomicU64,
    ended: OnceLock<LossReason>,
    /// Notified when the tenure or one of its leases ends.
    on_end: Notify,
    /// The present holder's call.
    holder: Mutex<Option<Arc<Call>>>,
    /// Does not keep the pool: leases may be stored anywhere.
    pool: WeakCommands,
}

impl Tenure {
    pub(crate) fn new(id: u64, key: Key, valid_until: Time, pool: WeakCommands) -> Self {
        Self {
            id,
            key,
            valid_until: AtomicU64::new(valid_until.as_nanos()),
            ended: OnceLock::new(),
            on_end: Notify::new(),
            holder: Mutex::new(None),
            pool,
        }
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    pub(crate) fn prolong(&self, valid_until: Time) {
        self.valid_until
            .store(valid_until.as_nanos(), Ordering::Release);
    }

    /// It is lost. The first reason stays.
    pub(crate) fn end(&self, reason: LossReason) {
        if self.ended.set(reason).is_ok() {
            self.on_end.notify_waiters();
        }
    }

    /// Where the events of the present holder, or of the last one, belong.
    pub(crate) fn holder_trace(&self) -> CallTrace {
        let holder = self.holder();
        holder.map_or_else(CallTrace::none, |holder| holder.trace().clone())
    }

    /// The call of the present holder, or of the last one.
    pub(crate) fn holder(&self) -> Option<Arc<Call>> {
        self.lock_holder().clone()
    }

    fn lock_holder(&self) -> MutexGuard<'_, Option<Arc<Call>>> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn valid_until(&self) -> Time {
        Time::from_nanos(self.valid_until.load(Ordering::Acquire))
    }
}

impl Lease {
    pub(crate) fn new(tenure: Arc<Tenure>, token: u64, call: Arc<Call>) -> Self {
        let before = tenure.lock_holder().replace(Arc::clone(&call));
        // Its span may end here, which is foreign code: outside of the mutex.
        drop(before);
        Self(Arc::new(State {
            tenure,
            token,
            is_released: AtomicBool::new(false),
            call,
        }))
    }

    /// The key that is locked.
    pub fn key(&self) -> &str {
        self.0.tenure.key.as_str()
    }

    /// A number that is greater than that of every lease granted for this key before.
    ///
    /// Hand it to whatever the lock guards, and let that refuse smaller numbers than it has seen:
    /// it is what protects the data when a paused process wakes up after its lease has ended.
    pub fn fencing_token(&self) -> u64 {
        self.0.token
    }

    /// How long the lease is valid if it is not renewed; zero once it is over.
    pub fn remaining(&self) -> Duration {
        match self.ended() {
            Some(_) => Duration::ZERO,
            None => self.0.tenure.valid_until().since(Time::now()),
        }
    }

    /// Whether the lease is still good, by this machine's clock. Cheap enough for right before
    /// each side effect.
    pub fn is_valid(&self) -> bool {
        self.ended().is_none() && Time::now() < self.0.tenure.valid_until()
    }

    /// Waits until the lease is over, and says why.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is lost by dropping the future.
    pub async fn lost(&self) -> LossReason {
        loop {
            let ended = self.0.tenure.on_end.notified();
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
    /// confirm, in which case the lease is what it was; [`Error::Config`] for a ttl outside 50 ms
    /// to 24 h, or longer than `max_hold` lets the lease last; [`Error::Closed`] when the pool is gone.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it open whether the lease was extended.
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
            key: self.0.tenure.key.shared(),
            fencing_token: self.0.token,
            reason,
        }
    }

    /// Why the lease is over, if it is.
    pub(crate) fn over(&self) -> Option<LossReason> {
        match self.ended() {
            Some(reason) => Some(reason),
            None if self.is_valid() => None,
            // The I/O thread has not noticed yet.
            None => Some(LossReason::Expired),
        }
    }

    /// Its holder is finished with it.
    pub(crate) fn release(&self) {
        self.0.is_released.store(true, Ordering::Release);
        self.0.tenure.on_end.notify_waiters();
    }

    pub(crate) fn tenure(&self) -> &Arc<Tenure> {
        &self.0.tenure
    }

    /// The pool that granted it.
    pub(crate) fn pool(&self) -> &WeakCommands {
        &self.0.tenure.pool
    }

    /// The span of the call, for the body to run in.
    pub(crate) fn span(&self) -> Span {
        self.0.call.trace().span().clone()
    }

    fn ended(&self) -> Option<LossReason> {
        if self.0.is_released.load(Ordering::Acquire) {
            return Some(LossReason::Released);
        }
        self.0.tenure.ended.get().copied()
    }
}

// What a panic could leave half done is nothing that a lease shows: a body that holds one stays
// what it is without the attribute.
impl UnwindSafe for Lease {}
impl RefUnwindSafe for Lease {}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("key", &self.0.tenure.key)
            .field("fencing_token", &self.0.token)
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}

pub(crate) fn check_ttl(ttl: Duration) -> Result<(), Error> {
    if ttl < MIN_TTL || ttl > MAX_TTL {
        return Err(Error::config(
            "ttl",
            format!("{ttl:?} is not between 50ms and 24h"),
        ));
    }
    Ok(())
}
