//! `on_busy = "skip"`: the default value when another call holds the lock.
//!
//! The default depends on whether the function returns a `Result`, perhaps under another name, and
//! only the type checker knows that. `(&Skip::<R>::NEW).by_type()` asks it: the method of
//! [`Fallible`] needs one reference less than the method of [`Infallible`], so it is looked up
//! first, and only a `Result` has it.

use std::marker::PhantomData;

use super::CarriesLockError;
use super::outcome::unreported;
use crate::Error;

/// A function that returns `R`.
#[derive(Debug)]
pub struct Skip<R>(PhantomData<fn() -> R>);

impl<R> Skip<R> {
    /// The tag that the expansion starts from.
    pub const NEW: Self = Self(PhantomData);
}

/// Chosen for every `Result`.
pub trait Fallible {
    /// The rules for the type.
    type Rules;
    /// Returns the rules.
    fn by_type(&self) -> Self::Rules;
}

impl<T, E> Fallible for Skip<Result<T, E>> {
    type Rules = OfResult<T, E>;
    fn by_type(&self) -> OfResult<T, E> {
        OfResult(PhantomData)
    }
}

/// Chosen for every other type.
pub trait Infallible {
    /// The rules for the type.
    type Rules;
    /// Returns the rules.
    fn by_type(&self) -> Self::Rules;
}

impl<R> Infallible for &Skip<R> {
    type Rules = OfValue<R>;
    fn by_type(&self) -> OfValue<R> {
        OfValue(PhantomData)
    }
}

/// A busy lock becomes `Ok(T::default())`; every other error is returned.
#[derive(Debug)]
pub struct OfResult<T, E>(PhantomData<fn() -> Result<T, E>>);

impl<T, E> OfResult<T, E> {
    /// Returns the value of a function that did not run.
    ///
    /// # Errors
    ///
    /// Every error except a busy lock.
    pub fn refused(self, error: Error) -> Result<T, E>
    where
        T: SkipsTo,
        E: CarriesLockError,
    {
        self.refused_or(error, |error| Err(E::carry(error)))
    }

    /// Returns the same, with a handler for every error except a busy lock.
    ///
    /// # Errors
    ///
    /// The error that the handler returns.
    pub fn refused_or(
        self,
        error: Error,
        handler: impl FnOnce(Error) -> Result<T, E>,
    ) -> Result<T, E>
    where
        T: SkipsTo,
    {
        if error.is_busy() {
            Ok(T::default_value())
        } else {
            handler(error)
        }
    }
}

/// Every error becomes `R::default()`; errors other than a busy lock are traced.
#[derive(Debug)]
pub struct OfValue<R>(PhantomData<fn() -> R>);

impl<R> OfValue<R> {
    /// Returns the value of a function that did not run.
    #[must_use]
    pub fn refused(self, error: Error) -> R
    where
        R: SkipsTo,
    {
        self.refused_or(error, |error| {
            unreported(&error);
            R::default_value()
        })
    }

    /// Returns the same, with a handler for every error except a busy lock.
    pub fn refused_or(self, error: Error, handler: impl FnOnce(Error) -> R) -> R
    where
        R: SkipsTo,
    {
        if error.is_busy() {
            R::default_value()
        } else {
            handler(error)
        }
    }
}

/// A type that has a value for a skipped call.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no value for a skipped call",
    label = "`on_busy = \"skip\"` returns `{Self}::default()` when somebody else holds the lock",
    note = "implement `Default` for `{Self}`, return an `Option` of it, or use `or_else = |error| ...` instead"
)]
pub trait SkipsTo {
    /// Returns that value.
    fn default_value() -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Default> SkipsTo for T {
    fn default_value() -> Self {
        T::default()
    }
}
