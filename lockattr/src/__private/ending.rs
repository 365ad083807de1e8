//! Whether the call waits for its release: it does not if its value is not `Send`.
//!
//! `(&output).ending()` asks the type checker: the method of [`SendOutput`] needs one reference
//! less than the method of [`AnyOutput`], so it is looked up first. With `min_hold`,
//! `(&output).judging(ending)` asks in the same way whether the value is a `Result`, perhaps under
//! another name.

use std::marker::PhantomData;

use crate::hold::{AwaitRelease, Ending, ReleaseInBackground};

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

/// An ending that counts an `Err` as failure.
#[derive(Debug)]
pub struct ErrIsFailure<E>(PhantomData<E>);

impl<T, F, E: Ending<Result<T, F>>> Ending<Result<T, F>> for ErrIsFailure<E> {
    type Kept = E::Kept;

    fn keep(value: Result<T, F>) -> Result<E::Kept, Result<T, F>> {
        E::keep(value)
    }

    fn give(kept: E::Kept) -> Result<T, F> {
        E::give(kept)
    }

    fn is_failure(value: &Result<T, F>) -> bool {
        value.is_err()
    }
}

/// Chosen for every `Result`.
pub trait ResultOutput {
    /// Returns the ending that tells an `Err` apart.
    fn judging<E>(&self, ending: E) -> ErrIsFailure<E>;
}

impl<T, F> ResultOutput for Output<Result<T, F>> {
    fn judging<E>(&self, _: E) -> ErrIsFailure<E> {
        ErrIsFailure(PhantomData)
    }
}

/// Chosen for all other values: each is a success.
pub trait ValueOutput {
    /// Returns the same ending.
    fn judging<E>(&self, ending: E) -> E;
}

impl<R> ValueOutput for &Output<R> {
    fn judging<E>(&self, ending: E) -> E {
        ending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Renamed = Result<u8, String>;

    fn fails<R, E: Ending<R>>(_: &Output<R>, _: E, value: &R) -> bool {
        E::is_failure(value)
    }

    #[test]
    fn only_an_err_is_a_failure() {
        let renamed = &Output::<Renamed>(PhantomData);
        let ending = || renamed.judging(AwaitRelease);
        assert!(fails(renamed, ending(), &Err("no".to_owned())));
        assert!(!fails(renamed, ending(), &Ok(1)));
        let option = Output::<Option<u8>>(PhantomData);
        let ending = (&option).judging(ReleaseInBackground);
        assert!(!fails(&option, ending, &None));
    }
}
