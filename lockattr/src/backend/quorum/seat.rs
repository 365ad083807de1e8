//! What one server of a quorum has of one lease.

use std::ops::Range;
use std::time::Duration;

use crate::backend::{BackendError, OwnerId};
use crate::clock::Time;
use crate::timing;

/// One server, from the view of one ballot.
#[derive(Debug, Clone)]
#[cfg_attr(test, derive(Hash))]
pub(super) struct Seat {
    /// The owner id that this server knows. After a vote was given back there is a new one: the release may
    /// be executed later than the next acquire.
    pub(super) owner: OwnerId,
    pub(super) asked: Option<Asked>,
    /// The answer to what the present step asks for.
    pub(super) answer: Option<Answer>,
    pub(super) vote: Option<Vote>,
    /// The server grants no token up to this one to a later owner.
    pub(super) top: u64,
    /// Whether the server may have something of this owner.
    pub(super) touched: bool,
    /// Whether an acquire may still be on its way.
    pub(super) unsure: bool,
    /// Whether this owner may have a place in the server's queue.
    pub(super) queued: bool,
}

/// A request that is not answered.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(test, derive(Hash))]
pub(super) struct Asked {
    pub(super) number: u64,
    pub(super) sent_at: Time,
    pub(super) what: What,
    /// Whether the server may have had something of the owner before.
    pub(super) was_touched: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub(super) enum What {
    Acquire {
        ttl: Duration,
    },
    Renew {
        ttl: Duration,
    },
    Reserve,
    /// The server's counter is to reach a token that others have granted.
    Raise,
    Release,
}

#[derive(Debug, Clone)]
#[cfg_attr(test, derive(Hash))]
pub(super) enum Answer {
    Granted,
    Held {
        ends_in: Duration,
    },
    Renewed,
    Reserved {
        tokens: Range<u64>,
        contended: bool,
    },
    /// The lease is not this owner's, or not without a gap.
    Gone,
    Released,
    Failed {
        error: BackendError,
        unknown: bool,
    },
    /// Nothing came in time.
    Late,
}

/// The lease on one server.
#[derive(Debug, Clone)]
#[cfg_attr(test, derive(Hash))]
pub(super) struct Vote {
    /// Not later than the grant or the renewal.
    pub(super) since: Time,
    pub(super) ttl: Duration,
    pub(super) tokens: Range<u64>,
    pub(super) contended: bool,
    /// Whether it counts for what the ballot holds, see `admit`.
    pub(super) counts: bool,
}

impl Vote {
    /// Returns the end of the lease on the server, or an earlier time.
    pub(super) fn ends(&self) -> Time {
        self.since + self.ttl
    }

    /// Returns whether the lease has not ended on the server, whose clock may be faster.
    pub(super) fn is_live(&self, now: Time) -> bool {
        now < timing::validity_end(self.since, self.ttl)
    }
}

impl Seat {
    pub(super) fn new(owner: OwnerId) -> Self {
        Self {
            owner,
            asked: None,
            answer: None,
            vote: None,
            top: 0,
            touched: false,
            unsure: false,
            queued: false,
        }
    }

    pub(super) fn is_awaited(&self) -> bool {
        self.asked.is_some() && self.answer.is_none()
    }

    pub(super) fn is_granted(&self) -> bool {
        matches!(self.answer, Some(Answer::Granted))
    }

    pub(super) fn is_held_by_another(&self) -> bool {
        matches!(self.answer, Some(Answer::Held { .. }))
    }

    /// Returns whether the server is of no use in this step.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.answer, Some(Answer::Failed { .. } | Answer::Late))
    }

    pub(super) fn live_vote(&self, now: Time) -> Option<&Vote> {
        self.vote.as_ref().filter(|vote| vote.is_live(now))
    }

    /// Notes a grant. If it is another one than before, the server may have lost its data in between, and its
    /// counter with them.
    pub(super) fn grant(&mut self, vote: Vote) {
        let before = self.vote.as_ref().map(|vote| vote.tokens.start);
        let top = if before == Some(vote.tokens.start) {
            self.top
        } else {
            0
        };
        self.top = top.max(vote.tokens.end - 1);
        self.queued = false;
        self.vote = Some(vote);
    }
}
