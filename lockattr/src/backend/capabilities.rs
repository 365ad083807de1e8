//! What a lock service can do.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use crate::timing;

/// The pauses between attempts for a key that is held, without a queue.
const POLL_PAUSES: RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_millis(250);

/// What a backend can do. The pool does the rest itself.
///
/// # Examples
///
/// ```
/// use lockattr::backend::Capabilities;
///
/// // The least: the pool polls, asks for a token at a time, and sends at once whatever is due.
/// let least = Capabilities::default();
/// let redis_like = Capabilities::default().with_queue().with_token_ranges();
/// ```
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "a list of what there is")]
pub struct Capabilities {
    pub(crate) waiting: Waiting,
    pub(crate) least_claim_window: Duration,
    pub(crate) token_ranges: bool,
    pub(crate) longer_renewals: bool,
    pub(crate) confirmation: bool,
    pub(crate) modes: bool,
    pub(crate) min_hold: bool,
    pub(crate) lanes: Lanes,
}

/// How a call waits for a key that another process holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Waiting {
    Queue,
    /// The shortest and the longest pause between two attempts.
    Poll(Duration, Duration),
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            waiting: Waiting::Poll(*POLL_PAUSES.start(), *POLL_PAUSES.end()),
            least_claim_window: Duration::ZERO,
            token_ranges: false,
            longer_renewals: true,
            confirmation: false,
            modes: false,
            min_hold: false,
            lanes: Lanes {
                count: 1,
                of: Arc::new(|_| 0),
            },
        }
    }
}

impl Capabilities {
    /// The service keeps a queue for each key, first come, first served, hands the key to the first
    /// waiter when it is released, and notifies it by
    /// [`Event::HandedOver`](super::Event::HandedOver).
    ///
    /// Without a queue the pool asks with [`IfHeld::Refuse`](super::IfHeld::Refuse) repeatedly, and
    /// no order is promised between processes.
    #[must_use]
    pub fn with_queue(mut self) -> Self {
        self.waiting = Waiting::Queue;
        self
    }

    /// With a queue: the shortest claim window that the round trip to the service allows, see
    /// [`LockPoolBuilder::claim_window`](crate::LockPoolBuilder::claim_window). The pool's is not
    /// shorter.
    #[must_use]
    pub fn with_least_claim_window(mut self, window: Duration) -> Self {
        self.least_claim_window = window;
        self
    }

    /// With a queue: how long an answer of the service takes. The claim window is at least what that needs.
    #[must_use]
    pub fn with_round_trip(self, took: Duration) -> Self {
        let window = timing::least_claim_window(took);
        self.with_least_claim_window(window)
    }

    /// Without a queue: the pauses between two attempts for a key that is held, jittered and
    /// doubling from the first to the last. Defaults to 10 to 250 ms. A pool that waits for more
    /// than a hundred keys asks less often.
    #[must_use]
    pub fn with_poll_pauses(mut self, pauses: RangeInclusive<Duration>) -> Self {
        let (first, last) = pauses.into_inner();
        self.waiting = Waiting::Poll(first, last.max(first));
        self
    }

    /// A grant can come with as many tokens as are asked for, and
    /// [`Op::Reserve`](super::Op::Reserve) reserves more. Then a lease is passed on inside a
    /// process, under a new token each time, without a request.
    #[must_use]
    pub fn with_token_ranges(mut self) -> Self {
        self.token_ranges = true;
        self
    }

    /// A lease is bound to something that was made for its first ttl, such as a session, so that a
    /// [renewal](super::Op::Renew) for a longer one may be refused. Then a lease that was asked for by a
    /// call that has left since does not go to one with a longer ttl, which asks for its own.
    #[must_use]
    pub fn without_longer_renewals(mut self) -> Self {
        self.longer_renewals = false;
        self
    }

    /// The service can say whether its replicas, or its disk, have a change: it fulfils an attempt's
    /// [`Confirmation`](super::Confirmation). Without this, calls that ask for one are refused.
    #[must_use]
    pub fn with_confirmation(mut self) -> Self {
        self.confirmation = true;
        self
    }

    /// The service lets several owners have a key at the same time where their
    /// [modes](super::Attempt::mode) allow it. Without this, only exclusive calls are served.
    ///
    /// Needs a [queue](Self::with_queue): without one, readers that come and go keep writers out.
    #[must_use]
    pub fn with_modes(mut self) -> Self {
        self.modes = true;
        self
    }

    /// A release can [keep others out](super::Op::Release::keep) for a while. Without this, calls with a
    /// `min_hold` are refused.
    #[must_use]
    pub fn with_min_hold(mut self) -> Self {
        self.min_hold = true;
        self
    }

    /// Attempts may share a request only if their keys have the same lane (a connection, a slot, a
    /// node, a session): `of` returns the lane of a key, less than `count`. The pool asks for the
    /// [room](super::Backend::room) of each lane, and keeps the attempts that do not fit. Defaults
    /// to one lane.
    #[must_use]
    pub fn with_lanes(
        mut self,
        count: usize,
        of: impl Fn(&str) -> usize + Send + Sync + 'static,
    ) -> Self {
        self.lanes = Lanes {
            count: count.max(1),
            of: Arc::new(of),
        };
        self
    }

    /// Whether there is a queue.
    pub fn has_queue(&self) -> bool {
        matches!(self.waiting, Waiting::Queue)
    }

    /// Whether tokens come in ranges.
    pub fn has_token_ranges(&self) -> bool {
        self.token_ranges
    }

    /// Whether several owners can have a key at the same time.
    pub fn has_modes(&self) -> bool {
        self.modes && self.has_queue()
    }

    /// Whether a release can keep others out for a while.
    pub fn has_min_hold(&self) -> bool {
        self.min_hold
    }

    /// Whether changes can be confirmed.
    pub fn has_confirmation(&self) -> bool {
        self.confirmation
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capabilities")
            .field("waiting", &self.waiting)
            .field("least_claim_window", &self.least_claim_window)
            .field("token_ranges", &self.token_ranges)
            .field("longer_renewals", &self.longer_renewals)
            .field("confirmation", &self.confirmation)
            .field("modes", &self.modes)
            .field("min_hold", &self.min_hold)
            .field("lanes", &self.lanes)
            .finish()
    }
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.count.fmt(f)
    }
}

#[derive(Clone)]
pub(crate) struct Lanes {
    count: usize,
    of: Arc<dyn Fn(&str) -> usize + Send + Sync>,
}

impl Lanes {
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn of(&self, key: &str) -> usize {
        if self.count == 1 {
            0
        } else {
            (self.of)(key) % self.count
        }
    }
}
