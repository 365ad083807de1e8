//! What a step of an acquisition needs, and how it asks again.

use std::collections::VecDeque;
use std::time::Duration;

use super::Notice;
use crate::backend::LeaseId;
use crate::clock::Time;

/// What every step needs from its keeper.
pub(in crate::protocol) struct Step<'a> {
    pub(in crate::protocol) now: Time,
    pub(in crate::protocol) jitter: &'a mut fastrand::Rng,
    pub(in crate::protocol) notices: &'a mut VecDeque<(LeaseId, Notice)>,
    pub(in crate::protocol) ask_again: AskAgain,
    /// The latest round trip, of any acquisition.
    pub(in crate::protocol) round_trip: Option<Duration>,
}

/// When a waiter asks again for a key that is held.
#[derive(Debug, Clone, Copy)]
pub(in crate::protocol) enum AskAgain {
    /// After this time, in case a handoff was lost.
    Queued(Duration),
    /// After pauses that grow from `first` to `last`, none shorter than `least`.
    Polled {
        first: Duration,
        last: Duration,
        least: Duration,
    },
}

impl AskAgain {
    /// Whether others may wait without the lock service knowing it.
    pub(super) fn hides_waiters(self) -> bool {
        matches!(self, Self::Polled { .. })
    }
}
