//! Whether the release is awaited: not for a value that is not `Send`.
//!
//! `(&Output::of(&body)).ending()` asks the type checker: the method of [`SendOutput`] needs one
//! reference less than that of [`AnyOutput`], so it is looked up first.

use std::marker::PhantomData;

use crate::hold::{AwaitRelease, ReleaseInBackground};

/// A body that gives `R`.
#[derive(Debug)]
pub struct Output<R>(PhantomData<fn() -> R>);

impl<R> Output<R> {
    /// The tag that the expansion starts from.
    pub const fn of<F: Future<Output = R>>(_: &F) -> Self {
        Self(PhantomData)
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
