//! A value that the tasks of one thread share.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The tasks run on one thread, so no task ever waits for it; tasks have to be `Send` all the same.
#[derive(Debug, Default)]
pub(crate) struct Guarded<T>(Mutex<T>);

impl<T> Guarded<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Not to be kept over an `await`.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, value: T) {
        *self.lock() = value;
    }

    pub(crate) fn replace(&self, value: T) -> T {
        std::mem::replace(&mut *self.lock(), value)
    }
}

impl<T: Copy> Guarded<T> {
    pub(crate) fn get(&self) -> T {
        *self.lock()
    }
}
