//! What a lock service answers, and tells on its own.

use std::ops::Range;
use std::time::Duration;

use super::attempt::AttemptId;
use super::owner::OwnerId;
use crate::clock::Time;
use crate::error::BackendError;

/// What the lock service answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
#[non_exhaustive]
pub enum Reply {
    /// To an acquire: the owner has the key.
    Granted(Granted),
    /// To an acquire: another owner has the key. If the attempt said [`IfHeld::Queue`](super::IfHeld),
    /// the service keeps a place in the queue, and will send [`Event::HandedOver`].
    Held {
        /// When the present lease ends, if it is not renewed. [`Duration::MAX`] if that is not known.
        ends_in: Duration,
    },
    /// To an acquire: a tombstone stands for this owner.
    Tombstoned,
    /// To a renewal: the lease goes on.
    Renewed {
        /// Whether others wait for the key.
        contended: bool,
    },
    /// To a reservation: more tokens.
    Reserved(Granted),
    /// To a renewal or a reservation: the owner does not have the key (any more).
    Gone,
    /// To a release: the owner has the key no more, whether or not it had it before.
    Released,
}

/// What comes with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
#[non_exhaustive]
pub struct Granted {
    /// The fencing tokens: greater than all before for this key, and given to no other owner. At least
    /// one, and mostly as many as were asked for.
    pub tokens: Range<u64>,
    /// Whether others wait for the key, as far as the service knows.
    pub contended: bool,
}

impl Granted {
    /// Tokens from `tokens.start` on, which is not 0.
    pub fn new(tokens: Range<u64>, contended: bool) -> Self {
        Self { tokens, contended }
    }
}

/// Why an attempt has no reply.
#[derive(Debug, Clone)]
#[cfg_attr(test, derive(Hash))]
pub struct Failure {
    /// Whether the service may have executed the attempt, now or later.
    pub(crate) maybe_executed: bool,
    /// Whether the same attempt may succeed later.
    pub(crate) passing: bool,
    pub(crate) error: BackendError,
}

impl Failure {
    /// The service has not executed the attempt, and never will.
    pub fn not_executed(error: BackendError) -> Self {
        Self {
            maybe_executed: false,
            passing: true,
            error,
        }
    }

    /// The service may have executed the attempt, or may do so later: a connection ended, an answer
    /// made no sense. Where there is doubt, this is the right one.
    pub fn outcome_unknown(error: BackendError) -> Self {
        Self {
            maybe_executed: true,
            passing: true,
            error,
        }
    }

    /// It is of no use to try again, such as after a refused password.
    #[must_use]
    pub fn lasting(mut self) -> Self {
        self.passing = false;
        self
    }

    /// What went wrong.
    pub fn error(&self) -> &BackendError {
        &self.error
    }
}

/// The end of an attempt.
pub type Outcome = Result<Reply, Failure>;

/// What a backend reports.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
#[non_exhaustive]
pub enum Event {
    /// An attempt is over, perhaps after it was overdue. At most one such event for an attempt.
    Done(AttemptId, Outcome),
    /// The queue made this waiter the owner.
    HandedOver {
        /// Who has the key now.
        owner: OwnerId,
        /// The tokens that its [`Claim`](super::Claim) asked for.
        granted: Granted,
        /// Not later than the grant, on our clock: the validity counts from here.
        since: Time,
        /// How long the lease lasts unless it is renewed.
        ttl: Duration,
    },
    /// It is worth asking again for every key: notifications may have been lost.
    Reconnected,
    /// There is [room](super::Backend::room) again, and no other event says so.
    Room,
}
