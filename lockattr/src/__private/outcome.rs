//! The value that a function returns when its lock was not held.

use crate::Error;

/// Names the type of a body; the branch that calls this is never taken.
#[must_use]
pub fn never<R>() -> R {
    unreachable!("called from a branch that is never taken")
}

/// Traces and counts an error that the function's return type cannot hold.
pub(super) fn unreported(error: &Error) {
    crate::driver::count_unreported();
    tracing::error!(%error, "a locked function could not run, and returned its default");
}

/// Returns the function's value for an error, if its type can carry the error.
pub fn refused<R: Outcome>(error: Error) -> R {
    R::refused(error)
}

/// A type that a locked function may return.
#[diagnostic::on_unimplemented(
    message = "a `#[distributed_lock]` function cannot return `{Self}`",
    label = "this type has no way to say that the lock was not acquired",
    note = "return a `Result<T, E>` where `E: From<lockattr::Error>`",
    note = "or say what to return instead: `or_else = |error| ...`, or `on_busy = \"skip\"` for the default value"
)]
pub trait Outcome {
    /// Returns the value that says why the body did not run.
    fn refused(error: Error) -> Self;
}

impl<T, E: CarriesLockError> Outcome for Result<T, E> {
    fn refused(error: Error) -> Self {
        Err(E::carry(error))
    }
}

/// An error type that can hold a [`lockattr::Error`](Error).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot carry a `lockattr::Error`",
    label = "the lock may not be acquired, and `{Self}` has no way to say so",
    note = "implement `From<lockattr::Error>` for `{Self}`; with thiserror: `#[error(transparent)] Lock(#[from] lockattr::Error)`",
    note = "or say what to return instead: `or_else = |error| ...`"
)]
pub trait CarriesLockError {
    /// Wraps the error.
    fn carry(error: Error) -> Self;
}

#[diagnostic::do_not_recommend]
impl<E: From<Error>> CarriesLockError for E {
    fn carry(error: Error) -> Self {
        error.into()
    }
}
