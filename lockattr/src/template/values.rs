//! The values of a template, kept separate from its own text.

use std::cell::Cell;
use std::fmt::{
    self, Binary, Debug, Display, LowerExp, LowerHex, Octal, Pointer, UpperExp, UpperHex,
};

/// The state that the values of one rendering share with its sink.
#[derive(Debug)]
pub struct Values {
    /// Safe characters that this template's own text uses as a separator.
    pub(super) separators: &'static str,
    pub(super) writing: Cell<bool>,
    pub(super) wrote: Cell<bool>,
    pub(super) empty: Cell<bool>,
}

impl Values {
    /// Makes values in which `separators` are encoded too, besides the characters that always are.
    pub const fn new(separators: &'static str) -> Self {
        Self {
            separators,
            writing: Cell::new(false),
            wrote: Cell::new(false),
            empty: Cell::new(false),
        }
    }

    /// Wraps one value, which is formatted as usual and then encoded.
    pub const fn value<'a, T: ?Sized>(&'a self, value: &'a T) -> Value<'a, T> {
        Value {
            values: self,
            value,
        }
    }
}

/// A value that is written into a key.
#[derive(Clone, Copy)]
pub struct Value<'a, T: ?Sized> {
    values: &'a Values,
    value: &'a T,
}

impl<T: ?Sized> Value<'_, T> {
    fn write(&self, write: impl FnOnce(&T) -> fmt::Result) -> fmt::Result {
        let Values {
            writing,
            wrote,
            empty,
            ..
        } = self.values;
        wrote.set(false);
        writing.set(true);
        let result = write(self.value);
        writing.set(false);
        if !wrote.get() {
            empty.set(true);
        }
        result
    }
}

macro_rules! forward {
    ($($format:ident),+) => {$(
        impl<T: ?Sized + $format> $format for Value<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.write(|value| value.fmt(f))
            }
        }
    )+};
}

forward!(
    Display, Debug, LowerHex, UpperHex, Octal, Binary, LowerExp, UpperExp, Pointer
);
