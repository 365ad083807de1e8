//! The caller that asks for a lock, as text for people.

use std::fmt;
use std::panic::Location;

/// The function under the attribute, or the place where `lock` was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Label {
    Function {
        module: &'static str,
        function: &'static str,
    },
    Place(&'static Location<'static>),
}

impl Label {
    #[track_caller]
    pub(crate) fn here() -> Self {
        Self::Place(Location::caller())
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function { module, function } => write!(f, "{module}::{function}"),
            Self::Place(place) => write!(f, "{}:{}", place.file(), place.line()),
        }
    }
}
