//! The caller that asks for a lock, as text for people.

use std::fmt;
use std::panic::Location;

/// A function under the attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Function {
    pub(crate) path: &'static str,
    /// Its keys as templates; empty for keys that expressions make.
    pub(crate) keys: &'static str,
}

/// The function under the attribute; or the place where `lock` was called, or the name that it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Label {
    Function(&'static Function),
    Place(&'static Location<'static>),
    Named(&'static str),
}

impl Label {
    #[track_caller]
    pub(crate) fn here() -> Self {
        Self::Place(Location::caller())
    }

    /// The keys of the attribute, as templates; empty without it, and for keys that expressions make.
    pub(crate) fn template(self) -> &'static str {
        match self {
            Self::Function(function) => function.keys,
            Self::Place(_) | Self::Named(_) => "",
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function(function) => f.write_str(function.path),
            Self::Named(name) => f.write_str(name),
            Self::Place(place) => write!(f, "{}:{}", place.file(), place.line()),
        }
    }
}
