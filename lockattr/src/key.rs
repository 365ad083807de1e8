//! The name that is locked, after its template is filled in.

use std::fmt;
use std::sync::Arc;

use crate::Error;

/// The longest key, in bytes.
pub(crate) const MAX_LEN: usize = 1024;

/// A checked key: not empty, at most 1 KiB, on one line.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// Makes a key from its text.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`] when it is empty, longer than 1 KiB, or holds a control character.
    pub fn new(text: impl Into<Arc<str>>) -> Result<Self, Error> {
        let text = text.into();
        match problem(&text) {
            None => Ok(Self(text)),
            Some(reason) => Err(Self::invalid(&text, reason)),
        }
    }

    /// Returns the error for an invalid key; a long text is cut.
    pub(crate) fn invalid(text: &str, reason: &'static str) -> Error {
        let excerpt: String = text.chars().take(64).flat_map(char::escape_debug).collect();
        Error::InvalidKey {
            key: excerpt.into(),
            reason,
        }
    }

    /// Returns the key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Returns why a text cannot be a key, and what to do.
pub(crate) fn problem(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        Some("it is empty, which would be one lock for everything; name what is locked")
    } else if text.len() > MAX_LEN {
        Some("it is longer than 1 KiB; lock an id or a digest instead")
    } else if text.chars().any(char::is_control) {
        Some("it holds a control character; let a template encode the value, `key!(\"…{value}\")`")
    } else {
        None
    }
}
