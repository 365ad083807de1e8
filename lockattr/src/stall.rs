//! Notices a body that was woken and is not polled.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};
use std::time::Duration;

use crate::clock::Time;

/// A waker that notes when it was called first since the last poll.
///
/// A body that waits for something slow is not polled either; only one that was woken should be.
#[derive(Debug)]
pub(crate) struct Alarm {
    task: Mutex<Waker>,
    /// Nanoseconds of [`Time`]; zero when nothing woke the body since it was polled.
    woken_at: AtomicU64,
}

impl Alarm {
    pub(crate) fn new(task: &Waker) -> Arc<Self> {
        Arc::new(Self {
            task: Mutex::new(task.clone()),
            woken_at: AtomicU64::new(0),
        })
    }

    /// Returns how long the body was woken and not polled, and wakes `task` from now on.
    pub(crate) fn polled(&self, task: &Waker) -> Duration {
        let previous = {
            let mut slot = self.task.lock().unwrap_or_else(PoisonError::into_inner);
            (!slot.will_wake(task)).then(|| std::mem::replace(&mut *slot, task.clone()))
        };
        // Foreign code, outside of the mutex.
        drop(previous);
        self.idle(self.woken_at.swap(0, Ordering::AcqRel))
    }

    /// The same of a body that is dropped.
    pub(crate) fn dropped(&self) -> Duration {
        self.idle(self.woken_at.swap(0, Ordering::AcqRel))
    }

    fn idle(&self, woken_at: u64) -> Duration {
        if woken_at == 0 {
            return Duration::ZERO;
        }
        Time::now().since(Time::from_nanos(woken_at))
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let now = Time::now().as_nanos();
        // The first one since the poll counts.
        let _ = self
            .woken_at
            .compare_exchange(0, now, Ordering::AcqRel, Ordering::Relaxed);
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        task.wake();
    }
}
