//! The order in which due attempts are sent: in each lane releases, then renewals, then acquires.

use std::collections::VecDeque;

use crate::backend::LeaseId;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub(super) enum Urgency {
    /// First: others wait for the key.
    Release,
    /// Then renewals and reservations of tokens: without a renewal, running work is lost.
    Renewal,
    /// Last, and bounded: with more acquires in flight than the service answers in time, every
    /// outcome would become unknown.
    Acquire,
}

/// The acquisitions that wait to send, in the lanes of the backend.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub(super) struct Lanes {
    all: Vec<Lane>,
    /// The lanes that are not empty and may have room.
    open: VecDeque<usize>,
    /// The lanes that are not empty and had no room when the backend was asked.
    full: Vec<usize>,
    /// Number of entries in the open lanes.
    urgent: usize,
    acquires: usize,
}

#[derive(Debug, Default)]
#[cfg_attr(test, derive(Clone, Hash))]
struct Lane {
    releases: VecDeque<LeaseId>,
    renewals: VecDeque<LeaseId>,
    acquires: VecDeque<LeaseId>,
    /// How many more attempts it takes in this round.
    room: usize,
    is_full: bool,
}

impl Lane {
    fn urgent(&self) -> usize {
        self.releases.len() + self.renewals.len()
    }

    fn is_empty(&self) -> bool {
        self.urgent() + self.acquires.len() == 0
    }
}

impl Lanes {
    pub(super) fn new(count: usize) -> Self {
        Self {
            all: (0..count).map(|_| Lane::default()).collect(),
            open: VecDeque::new(),
            full: Vec::new(),
            urgent: 0,
            acquires: 0,
        }
    }

    pub(super) fn push(&mut self, lane: usize, urgency: Urgency, id: LeaseId) {
        let to = &mut self.all[lane];
        if to.is_empty() {
            self.open.push_back(lane);
        }
        let is_open = usize::from(!to.is_full);
        match urgency {
            Urgency::Release => to.releases.push_back(id),
            Urgency::Renewal => to.renewals.push_back(id),
            Urgency::Acquire => to.acquires.push_back(id),
        }
        match urgency {
            Urgency::Release | Urgency::Renewal => self.urgent += is_open,
            Urgency::Acquire => self.acquires += is_open,
        }
    }

    /// Whether [`pop`](Self::pop) returns an entry, if there is room.
    pub(super) fn has_next(&self, may_acquire: bool) -> bool {
        self.urgent > 0 || (may_acquire && self.acquires > 0)
    }

    /// Begins a round of sending; `room` returns each lane's room.
    pub(super) fn begin(&mut self, room: impl Fn(usize, usize) -> usize) {
        for n in self.full.drain(..) {
            let lane = &mut self.all[n];
            lane.is_full = false;
            self.urgent += lane.urgent();
            self.acquires += lane.acquires.len();
            self.open.push_back(n);
        }
        for n in &self.open {
            let lane = &mut self.all[*n];
            lane.room = room(*n, lane.urgent() + lane.acquires.len());
        }
    }

    /// Returns the next entry to send, and its lane. Acquires only if they may be sent. Renewals do
    /// not count: those of a hundred thousand leases would delay every acquire.
    pub(super) fn pop(&mut self, may_acquire: bool) -> Option<(usize, LeaseId)> {
        for _ in 0..self.open.len() {
            let n = *self.open.front()?;
            let lane = &mut self.all[n];
            if lane.room == 0 {
                lane.is_full = true;
                self.urgent -= lane.urgent();
                self.acquires -= lane.acquires.len();
                self.full.extend(self.open.pop_front());
                continue;
            }
            let urgent = lane
                .releases
                .pop_front()
                .or_else(|| lane.renewals.pop_front());
            let id = if urgent.is_some() {
                self.urgent -= 1;
                urgent
            } else if may_acquire {
                self.acquires -= 1;
                lane.acquires.pop_front()
            } else {
                None
            };
            if lane.is_empty() {
                self.open.pop_front();
            } else if id.is_none() {
                // The lane has only acquires, which may not be sent: another lane may have
                // something urgent.
                self.open.rotate_left(1);
            }
            if let Some(id) = id {
                return Some((n, id));
            }
        }
        None
    }

    /// Counts the entry popped from this lane as sent.
    pub(super) fn sent(&mut self, lane: usize) {
        let room = &mut self.all[lane].room;
        *room = room.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> LeaseId {
        LeaseId(n)
    }

    #[test]
    fn releases_overtake_and_acquires_are_bounded() {
        let mut lanes = Lanes::new(1);
        lanes.push(0, Urgency::Acquire, id(1));
        lanes.push(0, Urgency::Renewal, id(2));
        lanes.push(0, Urgency::Release, id(3));
        lanes.begin(|_, waiting| waiting);
        assert_eq!(lanes.pop(false), Some((0, id(3))));
        assert_eq!(lanes.pop(false), Some((0, id(2))));
        assert!(!lanes.has_next(false) && lanes.has_next(true));
        assert_eq!(lanes.pop(false), None);
        assert_eq!(lanes.pop(true), Some((0, id(1))));
        assert!(!lanes.has_next(true));
        assert_eq!(lanes.pop(true), None);
    }

    #[test]
    fn a_full_lane_holds_up_no_other_and_wakes_nothing() {
        let mut lanes = Lanes::new(3);
        for (lane, n) in [(0, 0), (1, 1), (2, 2)] {
            lanes.push(lane, Urgency::Acquire, id(n));
        }
        lanes.push(0, Urgency::Release, id(10));
        lanes.begin(|lane, _| usize::from(lane == 1));
        assert_eq!(lanes.pop(true), Some((1, id(1))));
        assert_eq!(lanes.pop(true), None);
        assert!(!lanes.has_next(true), "both are full");
        lanes.push(0, Urgency::Release, id(11));
        lanes.push(2, Urgency::Acquire, id(12));
        assert!(!lanes.has_next(true), "they still are");
        assert_eq!(lanes.pop(true), None);
        lanes.begin(|_, waiting| waiting);
        let popped: Vec<_> = std::iter::from_fn(|| lanes.pop(true)).collect();
        let expected = [(0, 10), (0, 11), (0, 0), (2, 2), (2, 12)];
        assert_eq!(popped, expected.map(|(lane, n)| (lane, id(n))));
        assert!(!lanes.has_next(true));
    }

    #[test]
    fn a_lane_takes_no_more_than_it_has_room_for() {
        let mut lanes = Lanes::new(1);
        for n in 0..4 {
            lanes.push(0, Urgency::Acquire, id(n));
        }
        lanes.begin(|_, _| 2);
        assert_eq!(lanes.pop(true), Some((0, id(0))));
        // An entry that is no longer wanted is not sent, and takes no room.
        for n in [1, 2] {
            assert_eq!(lanes.pop(true), Some((0, id(n))));
            lanes.sent(0);
        }
        assert_eq!(lanes.pop(true), None);
        lanes.begin(|_, _| 1);
        assert_eq!(lanes.pop(true), Some((0, id(3))));
    }

    #[test]
    fn acquires_that_may_not_be_sent_hold_up_no_release_of_another_lane() {
        let mut lanes = Lanes::new(2);
        lanes.push(0, Urgency::Acquire, id(1));
        lanes.push(1, Urgency::Release, id(2));
        lanes.begin(|_, waiting| waiting);
        assert_eq!(lanes.pop(false), Some((1, id(2))));
        assert_eq!(lanes.pop(false), None);
        assert_eq!(lanes.pop(true), Some((0, id(1))));
    }
}
