//! `or_else` and `on_busy`: handlers, which may name arguments of the function.
//!
//! When the lease is lost, the body is dropped with its arguments before the handler runs. So the
//! handler is made inside the body's future, from clones, and moved out through a [`Handler`].

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::{Busy, Error};

/// Names the type that an `or_else` handler returns, so that its value is coerced like the body's.
pub const fn handler<R, H: FnOnce(Error) -> R>(handler: H) -> H {
    handler
}

/// Calls an `on_busy` handler, whose value is coerced in the same way.
pub fn on_busy<R, H: FnOnce(Busy) -> R>(handler: H, busy: Busy) -> R {
    handler(busy)
}

/// Tells a busy lock from all other errors.
///
/// # Errors
///
/// Every other error.
pub fn busy(error: Error) -> Result<Busy, Error> {
    Busy::of(error)
}

/// Clones an argument for the handler that names it.
pub fn kept<T: Kept>(argument: &T) -> T {
    argument.keep()
}

/// An argument that a handler may name.
#[diagnostic::on_unimplemented(
    message = "a handler names an argument of type `{Self}`, which is not `Clone`",
    label = "this handler needs a clone of the argument",
    note = "when the lease is lost, the handler runs after the body was dropped with its arguments; so it gets clones of those that it names",
    note = "name only arguments that are `Clone` (or references), or handle the error at the caller"
)]
pub trait Kept {
    /// Returns the clone.
    #[must_use]
    fn keep(&self) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Clone> Kept for T {
    fn keep(&self) -> Self {
        self.clone()
    }
}

/// Moves a handler out of the body's future.
pub struct Handler<H>(Arc<Mutex<Option<H>>>);

impl<H> Handler<H> {
    /// Makes one without a handler.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "the expansion names it")]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }

    /// Sets the handler, before the call asks for the lock.
    pub fn set<R>(&self, handler: H)
    where
        H: FnOnce(Error) -> R,
    {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(handler);
    }

    /// Calls the handler.
    ///
    /// # Panics
    ///
    /// When the handler was not set.
    pub fn call<R>(&self, error: Error) -> R
    where
        H: FnOnce(Error) -> R,
    {
        let handler = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        handler.expect("set before the lock is asked for")(error)
    }
}

impl<H> Clone for Handler<H> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<H> fmt::Debug for Handler<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler").finish_non_exhaustive()
    }
}
