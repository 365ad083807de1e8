//! Whether the release is awaited: not for a value that is not `Send`.
//!
//! `(&output).ending()` asks the type checker: the method of [`SendOutput`] needs one
//! reference less than that of [`AnyOutput`], so it is looked up first.

use std::marker::PhantomData;

use crate::hold::{AwaitRelease, ReleaseInBackground};

/// A body that gives `R`.
#[derive(Debug)]
pub struct Output<R>(PhantomData<fn() -> R>);

impl<R> Output<R> {
    /// The tag of a body. Takes it by value: a future keeps the place of what was borrowed.
    pub const fn of<F: Future<Output = R>>(body: F) -> (Self, F) {
        (Self(PhantomData), body)
    }
}

/// Chosen for what is `Send`.
pub trait SendOutput {
    /// How the call ends.
    fn ending(&self) -> AwaitRelease;
}

impl<R: Send> SendOutput for Output<R> {
    fn ending(&self) -> AwaitRelease {
        AwaitRelease
    }
}

/// Chosen for everything else.
pub trait AnyOutput {
    /// How the call ends.
    fn ending(&self) -> ReleaseInBackground;
}

impl<R> AnyOutput for &Output<R> {
    fn ending(&self) -> ReleaseInBackground {
        ReleaseInBackground
    }
}
