//! The order in which due attempts are sent: releases, then renewals, then acquires.

use std::collections::VecDeque;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub(super) enum Lane {
    /// First: others wait for the key.
    Releases,
    /// Then what keeps running work from being lost.
    Renewals,
    /// Last, and bounded: with more in flight than the service answers in time, every outcome
    /// would become unknown.
    Acquires,
}

#[derive(Debug, Default)]
#[cfg_attr(test, derive(Clone, Hash))]
pub(super) struct Lanes {
    releases: VecDeque<u64>,
    renewals: VecDeque<u64>,
    acquires: VecDeque<u64>,
}

impl Lanes {
    pub(super) fn push(&mut self, lane: Lane, id: u64) {
        match lane {
            Lane::Releases => self.releases.push_back(id),
            Lane::Renewals => self.renewals.push_back(id),
            Lane::Acquires => self.acquires.push_back(id),
        }
    }

    /// Whether [`pop`](Self::pop) has one.
    pub(super) fn has_next(&self, acquires_in_flight: usize, limit: usize) -> bool {
        let is_urgent = !(self.releases.is_empty() && self.renewals.is_empty());
        is_urgent || (acquires_in_flight < limit && !self.acquires.is_empty())
    }

    /// The next to send, while fewer acquires than `limit` are in flight. Renewals do not count:
    /// those of a hundred thousand leases would keep every acquire back.
    pub(super) fn pop(&mut self, acquires_in_flight: usize, limit: usize) -> Option<u64> {
        let urgent = self
            .releases
            .pop_front()
            .or_else(|| self.renewals.pop_front());
        urgent.or_else(|| {
            if acquires_in_flight < limit {
                self.acquires.pop_front()
            } else {
                None
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_overtake_and_acquires_are_bounded() {
        let mut lanes = Lanes::default();
        lanes.push(Lane::Acquires, 1);
        lanes.push(Lane::Renewals, 2);
        lanes.push(Lane::Releases, 3);
        assert_eq!(lanes.pop(9, 9), Some(3));
        assert_eq!(lanes.pop(9, 9), Some(2));
        assert_eq!(lanes.pop(9, 9), None);
        assert_eq!(lanes.pop(8, 9), Some(1));
    }
}
