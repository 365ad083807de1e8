//! Detects a body that was woken but is not polled.

use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::time::Duration;

use crate::clock::Time;

/// A waker that notes its first call since the last poll.
///
/// A body that waits for something slow is not polled either; only a woken body should be polled.
#[derive(Debug)]
pub(crate) struct Alarm {
    task: Mutex<Waker>,
    /// Nanoseconds of [`Time`]; zero if nothing has woken the body since its last poll.
    woken_at: AtomicU64,
}

impl Alarm {
    pub(crate) fn new(task: &Waker) -> Arc<Self> {
        Arc::new(Self {
            task: Mutex::new(task.clone()),
            woken_at: AtomicU64::new(0),
        })
    }

    /// Returns how long the woken body was not polled, and wakes `task` from now on.
    pub(crate) fn polled(&self, task: &Waker) -> Duration {
        if !self.task().will_wake(task) {
            // Foreign code runs outside of the mutex: the clone, and the drop of the previous
            // waker.
            let task = task.clone();
            let previous = mem::replace(&mut *self.task(), task);
            drop(previous);
        }
        self.dropped()
    }

    fn task(&self) -> MutexGuard<'_, Waker> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the same for a body that is dropped.
    pub(crate) fn dropped(&self) -> Duration {
        match self.woken_at.swap(0, Ordering::AcqRel) {
            0 => Duration::ZERO,
            woken_at => Time::now().since(Time::from_nanos(woken_at)),
        }
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let now = Time::now().as_nanos();
        // Only the first call since the poll counts.
        let _ = self
            .woken_at
            .compare_exchange(0, now, Ordering::AcqRel, Ordering::Relaxed);
        let task = self.task().clone();
        task.wake();
    }
}
