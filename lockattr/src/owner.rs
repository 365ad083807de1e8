//! The identity of one acquisition.

use std::fmt::{self, Write as _};
use std::sync::Arc;

/// Who holds or asks for a key: 128 random bits of the pool, and counters that are never reused.
///
/// Whoever knows it can release the lock, so it is not logged: `Debug` shows its counters only.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct OwnerId {
    pool: Arc<str>,
    /// The acquisition, as the keeper counts them.
    pub(crate) acquisition: u64,
    /// Counts the identities that one acquisition used up.
    pub(crate) generation: u32,
}

impl OwnerId {
    /// The same acquisition under an identity that the server has not seen.
    pub(crate) fn renamed(&self) -> Self {
        Self {
            generation: self.generation + 1,
            ..self.clone()
        }
    }
}

impl fmt::Display for OwnerId {
    /// The form on the wire. It has no `:`, which ends it in stored values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}-{:x}-{:x}",
            self.pool, self.acquisition, self.generation
        )
    }
}

impl fmt::Debug for OwnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnerId(…-{:x}-{:x})", self.acquisition, self.generation)
    }
}

/// Makes the owner ids of one pool.
#[derive(Clone)]
pub(crate) struct OwnerIds(Arc<str>);

impl fmt::Debug for OwnerIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnerIds(…)")
    }
}

impl OwnerIds {
    /// # Errors
    ///
    /// When the operating system has no random bits.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits)?;
        Ok(Self::from_bits(bits))
    }

    pub(crate) fn from_bits(bits: [u8; 16]) -> Self {
        let hex = bits
            .iter()
            .fold(String::with_capacity(32), |mut hex, byte| {
                write!(hex, "{byte:02x}").expect("a String takes everything");
                hex
            });
        Self(hex.into())
    }

    /// What the ids of this pool begin with.
    #[cfg_attr(
        not(feature = "redis"),
        expect(dead_code, reason = "memory has no channels to name")
    )]
    pub(crate) fn pool(&self) -> &str {
        &self.0
    }

    pub(crate) fn first(&self, acquisition: u64) -> OwnerId {
        OwnerId {
            pool: Arc::clone(&self.0),
            acquisition,
            generation: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_alike_and_none_begins_another() {
        let (a, b) = (OwnerIds::from_bits([1; 16]), OwnerIds::from_bits([2; 16]));
        let ids = [a.first(1), a.first(0x11), a.first(1).renamed(), b.first(1)]
            .map(|id| format!("{id}:"));
        for (i, left) in ids.iter().enumerate() {
            assert!(!left.trim_end_matches(':').contains(':'));
            for (j, right) in ids.iter().enumerate() {
                assert_eq!(right.starts_with(left.as_str()), i == j);
            }
        }
    }

    #[test]
    fn debug_does_not_show_the_secret_part() {
        let id = OwnerIds::from_bits([0xab; 16]).first(5);
        assert!(!format!("{id:?}").contains("abab"));
    }
}
