//! The fencing tokens of a lease for the holders to come.

use std::mem;
use std::ops::Range;

/// What two reservations left, the earlier one first: tokens must grow from holder to holder.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub(super) struct Tokens {
    earlier: Range<u64>,
    later: Range<u64>,
}

impl Tokens {
    pub(super) fn of(reserved: Range<u64>) -> Self {
        Self {
            earlier: reserved,
            later: 0..0,
        }
    }

    pub(super) fn next(&mut self) -> Option<u64> {
        if self.earlier.is_empty() {
            self.earlier = mem::take(&mut self.later);
        }
        self.earlier.next()
    }

    /// How many holders they suffice for.
    pub(super) fn left(&self) -> u64 {
        let of = |range: &Range<u64>| range.end.saturating_sub(range.start);
        of(&self.earlier) + of(&self.later)
    }

    /// Adds a later reservation. One that finds two is left unused: the batch is full.
    pub(super) fn add(&mut self, reserved: Range<u64>) {
        if self.later.is_empty() {
            self.later = reserved;
        }
    }
}
