//! One lease as its holders in this process see it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;

use super::recovery::shielded;
use super::{Call, WeakCommands};
use crate::LossReason;
use crate::backend::LeaseId;
use crate::clock::Time;
use crate::key::Key;
use crate::mode::Mode;
use crate::protocol::LineName;

/// What the holders of one lease see of it: its end, and why it ended.
#[derive(Debug)]
pub(crate) struct Tenure {
    id: LeaseId,
    line: LineName,
    mode: Mode,
    valid_until: AtomicU64,
    ended: OnceLock<LossReason>,
    on_end: Notify,
    /// The present holder's call, and its fencing token.
    holder: Mutex<Option<(Arc<Call>, u64)>>,
    /// Does not keep the pool: leases may be stored anywhere.
    pool: WeakCommands,
}

impl Tenure {
    pub(crate) fn new(
        id: LeaseId,
        (line, mode): (LineName, Mode),
        valid_until: Time,
        pool: WeakCommands,
    ) -> Self {
        Self {
            id,
            line,
            mode,
            valid_until: AtomicU64::new(valid_until.as_nanos()),
            ended: OnceLock::new(),
            on_end: Notify::new(),
            holder: Mutex::new(None),
            pool,
        }
    }

    pub(crate) fn id(&self) -> LeaseId {
        self.id
    }

    pub(crate) fn key(&self) -> &Key {
        self.line.key()
    }

    pub(crate) fn line(&self) -> &LineName {
        &self.line
    }

    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    pub(crate) fn prolong(&self, valid_until: Time) {
        self.valid_until
            .store(valid_until.as_nanos(), Ordering::Release);
    }

    /// Ends the tenure. The first reason stays.
    pub(crate) fn end(&self, reason: LossReason) {
        if self.ended.set(reason).is_ok() {
            self.on_end.notify_waiters();
        }
    }

    /// Makes this call the holder.
    pub(crate) fn hold(&self, call: &Arc<Call>, token: u64) {
        let before = self.lock_holder().replace((Arc::clone(call), token));
        // Spans are foreign code, so not under the mutex.
        if let Some((before, _)) = before {
            shielded(|| call.trace().follows_from(before.trace()));
        }
    }

    /// Returns the reason for which it is over, if it is.
    pub(crate) fn ended(&self) -> Option<LossReason> {
        self.ended.get().copied()
    }

    /// Notified when the tenure or one of its leases ends.
    pub(crate) fn on_end(&self) -> &Notify {
        &self.on_end
    }

    /// The pool that granted it.
    pub(crate) fn pool(&self) -> &WeakCommands {
        &self.pool
    }

    /// The call of the present holder, or of the last one, and its fencing token.
    pub(crate) fn holder(&self) -> Option<(Arc<Call>, u64)> {
        self.lock_holder().clone()
    }

    fn lock_holder(&self) -> MutexGuard<'_, Option<(Arc<Call>, u64)>> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn valid_until(&self) -> Time {
        Time::from_nanos(self.valid_until.load(Ordering::Acquire))
    }
}
