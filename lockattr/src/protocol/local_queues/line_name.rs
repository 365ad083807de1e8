//! What names a line.

use std::hash::{Hash, Hasher};

use crate::key::Key;
use crate::protocol::Terms;

/// Names a line of calls, which have its key one after the other. A process has one for all exclusive
/// calls of a key, and an own one for each call that may have it beside others: how many those may be is
/// decided by the lock service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LineName {
    key: Key,
    /// The waiter, if it has an own line, or 0.
    own: u64,
}

// Most lines are those of exclusive calls, whose hash is the key's: measured.
impl Hash for LineName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
        if self.own != 0 {
            self.own.hash(state);
        }
    }
}

impl LineName {
    /// Returns the line of a waiter.
    pub(crate) fn of(terms: &Terms, waiter: u64) -> Self {
        let own = if terms.mode.is_exclusive() { 0 } else { waiter };
        Self {
            key: terms.key.clone(),
            own,
        }
    }

    /// The line of the exclusive calls of a key.
    #[cfg(test)]
    pub(crate) fn exclusive(key: Key) -> Self {
        Self { key, own: 0 }
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }
}
