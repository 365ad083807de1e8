//! Whether the call waits for its release: it does not if its value is not `Send`.
//!
//! `(&output).ending()` asks the type checker: the method of [`SendOutput`] needs one reference
//! less than the method of [`AnyOutput`], so it is looked up first.

use std::marker::PhantomData;

use crate::hold::{AwaitRelease, ReleaseInBackground};

/// The tag of a body that returns `R`.
#[derive(Debug)]
pub struct Output<R>(PhantomData<fn() -> R>);

impl<R> Output<R> {
    /// Returns the tag of a body, and the body. Takes the body by value, because a future keeps
    /// space for a variable that was borrowed.
    pub const fn of<F: Future<Output = R>>(body: F) -> (Self, F) {
        (Self(PhantomData), body)
    }
}

/// Chosen for values that are `Send`.
pub trait SendOutput {
    /// Returns how the call ends.
    fn ending(&self) -> AwaitRelease;
}

impl<R: Send> SendOutput for Output<R> {
    fn ending(&self) -> AwaitRelease {
        AwaitRelease
    }
}

/// Chosen for all other values.
pub trait AnyOutput {
    /// Returns how the call ends.
    fn ending(&self) -> ReleaseInBackground;
}

impl<R> AnyOutput for &Output<R> {
    fn ending(&self) -> ReleaseInBackground {
        ReleaseInBackground
    }
}
