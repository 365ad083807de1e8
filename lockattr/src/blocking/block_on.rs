//! Waits for a future on a thread that has no runtime, or must not enter it again.

use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tokio::runtime::{Handle, RuntimeFlavor, worker_index};
use tokio::task::{block_in_place, coop::unconstrained};

/// Polls `future` to its end, and blocks this thread while there is nothing to poll.
///
/// The futures of this crate need no runtime: the pool's own thread wakes them.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    // The budget of the task that runs here must not stop a future that it does not drive.
    let mut future = pin!(unconstrained(future));
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return value;
        }
        if has_other_tasks() {
            block_in_place(|| bell.wait());
        } else {
            bell.wait();
        }
    }
}

/// Returns whether this is a worker of a runtime that can run its other tasks on another thread.
fn has_other_tasks() -> bool {
    let is_multi_thread = || {
        let handle = Handle::try_current();
        handle.is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread)
    };
    // The second condition is for a `LocalSet`, where `block_in_place` panics.
    is_multi_thread() && worker_index().is_some()
}

/// Wakes a thread. Unlike `thread::park` it takes no wake-up that was meant for the caller's own code.
#[derive(Default)]
struct Bell {
    has_rung: Mutex<bool>,
    rings: Condvar,
}

impl Bell {
    fn wait(&self) {
        let has_rung = self.rings.wait_while(self.lock(), |has_rung| !*has_rung);
        *has_rung.unwrap_or_else(PoisonError::into_inner) = false;
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.has_rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        *self.lock() = true;
        self.rings.notify_one();
    }
}
