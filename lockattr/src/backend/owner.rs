//! The identities of leases and of their owners.

use std::fmt::{self, Write as _};
use std::sync::Arc;

/// The number of one lease of a pool, from the first request for it until nothing of it is on the
/// server. Counted, and never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LeaseId(pub(crate) u64);

/// The owner of a lock: 128 random bits of the pool, and counters that are never used again.
///
/// Its text form ([`Display`](fmt::Display)) is a secret: a process that knows it can release the
/// lock. So it belongs in the lock service, and in no log: `Debug` shows the counters only.
///
/// Two owner ids of one pool differ, whatever their keys are.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OwnerId {
    pool: Arc<str>,
    pub(crate) lease: LeaseId,
    /// Counts the identities that one lease has used.
    generation: u32,
}

impl OwnerId {
    /// Returns the same lease's next identity, which the server has not seen.
    pub(crate) fn renamed(&self) -> Self {
        Self {
            generation: self.generation + 1,
            ..self.clone()
        }
    }
}

impl fmt::Display for OwnerId {
    /// Writes lower-case hexadecimal digits and `-`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LeaseId(lease) = self.lease;
        write!(f, "{}-{lease:x}-{:x}", self.pool, self.generation)
    }
}

impl fmt::Debug for OwnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LeaseId(lease) = self.lease;
        write!(f, "OwnerId(…-{lease:x}-{:x})", self.generation)
    }
}

/// The source of a pool's owner ids. A backend gets it when it connects.
#[derive(Clone)]
#[cfg_attr(test, derive(Hash))]
pub struct OwnerIds(Arc<str>);

impl fmt::Debug for OwnerIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnerIds(…)")
    }
}

impl OwnerIds {
    /// # Errors
    ///
    /// If the operating system has no random bits.
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

    /// Returns the beginning of all ids of this pool: 32 hexadecimal digits. No other pool has the
    /// same, so it can name what belongs to this pool on the server, such as the channel of its
    /// waiters.
    pub fn prefix(&self) -> &str {
        &self.0
    }

    /// Reads an id of this pool, as its `Display` wrote it; `None` for any other text.
    pub fn parse(&self, text: &str) -> Option<OwnerId> {
        let counters = text.strip_prefix(&*self.0)?.strip_prefix('-')?;
        let (lease, generation) = counters.split_once('-')?;
        Some(OwnerId {
            pool: Arc::clone(&self.0),
            lease: LeaseId(hex(lease)?),
            generation: hex(generation)?.try_into().ok()?,
        })
    }

    pub(crate) fn first(&self, lease: LeaseId) -> OwnerId {
        OwnerId {
            pool: Arc::clone(&self.0),
            lease,
            generation: 0,
        }
    }
}

/// Reads lower-case digits only: `from_str_radix` would take a sign too.
fn hex(text: &str) -> Option<u64> {
    let is_plain = text
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_plain
        .then(|| u64::from_str_radix(text, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_ids_differ_and_none_is_a_prefix_of_another() {
        let (a, b) = (OwnerIds::from_bits([1; 16]), OwnerIds::from_bits([2; 16]));
        let (one, other) = (LeaseId(1), LeaseId(0x11));
        let ids = [
            a.first(one),
            a.first(other),
            a.first(one).renamed(),
            b.first(one),
        ]
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
        let id = OwnerIds::from_bits([0xab; 16]).first(LeaseId(5));
        assert!(!format!("{id:?}").contains("abab"));
    }

    #[test]
    fn an_id_is_read_by_its_own_pool_only() {
        let pool = OwnerIds::from_bits([0xab; 16]);
        let id = pool.first(LeaseId(31)).renamed();
        let text = id.to_string();
        assert_eq!(pool.parse(&text), Some(id));
        assert_eq!(OwnerIds::from_bits([0xac; 16]).parse(&text), None);
        let prefix = pool.prefix();
        for counters in ["", "+1f-0", "1f-+0", "1F-0", "-0", "1f-", "1f-100000000"] {
            assert_eq!(
                pool.parse(&format!("{prefix}-{counters}")),
                None,
                "{counters}"
            );
        }
        assert_eq!(pool.parse(prefix), None);
        assert_eq!(pool.parse(&text[1..]), None);
    }
}
