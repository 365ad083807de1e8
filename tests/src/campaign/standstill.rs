//! How long the machine stood still: nobody answers while it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const STEP: Duration = Duration::from_millis(5);

/// A thread that wakes up all the time, until this value is asked or dropped.
#[derive(Debug)]
pub(super) struct Standstill {
    is_over: Arc<AtomicBool>,
    longest: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Standstill {
    pub(super) fn watch() -> Self {
        let (is_over, longest) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (ends, seen) = (Arc::clone(&is_over), Arc::clone(&longest));
        let thread = thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                let before = Instant::now();
                thread::sleep(STEP);
                let late = before.elapsed().saturating_sub(STEP).as_millis();
                seen.fetch_max(u64::try_from(late).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
        });
        Self {
            is_over,
            longest,
            thread: Some(thread),
        }
    }

    /// Returns the longest time for which this thread was not woken.
    pub(super) fn longest(&self) -> Duration {
        Duration::from_millis(self.longest.load(Ordering::Relaxed))
    }
}

impl Drop for Standstill {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it does not panic");
        }
    }
}
