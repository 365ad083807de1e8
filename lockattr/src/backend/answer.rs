//! The answers and events of a lock service.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::attempt::AttemptId;
use super::owner::OwnerId;
use crate::clock::Time;
use crate::error::BackendError;
use crate::mode::Mode;

/// An answer of the lock service.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
#[non_exhaustive]
pub enum Reply {
    /// To an acquire: the owner has the key.
    Granted(Granted),
    /// To an acquire: another owner has the key. If the attempt said
    /// [`IfHeld::Queue`](super::IfHeld), the service keeps a place in the queue, and will send
    /// [`Event::HandedOver`].
    Held {
        /// How long the present lease lasts, if it is not renewed. [`Duration::MAX`] if that is not
        /// known.
        ends_in: Duration,
        /// Who has it, as text for people, if the service tells.
        holder: Option<Arc<str>>,
    },
    /// To an acquire: others have the key in this mode, which does not go with the attempt's.
    OtherMode(Mode),
    /// To an acquire: a tombstone stands for this owner.
    Tombstoned,
    /// To a renewal: the lease was renewed.
    Renewed {
        /// Whether others wait for the key.
        contended: bool,
    },
    /// To a reservation: more tokens.
    Reserved(Granted),
    /// To a renewal or a reservation: the owner does not have the key, or no longer.
    Gone,
    /// To a release: the owner does not have the key now, whether or not it had it before.
    Released,
}

/// What an owner gets with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
#[non_exhaustive]
pub struct Granted {
    /// The fencing tokens: greater than all earlier tokens of this key, and granted to no other
    /// owner. At least one, and mostly as many as were asked for.
    pub tokens: Range<u64>,
    /// Whether others wait for the key, as far as the service knows.
    pub contended: bool,
}

impl Granted {
    /// Creates a grant of tokens from `tokens.start` on, which is not 0.
    pub fn new(tokens: Range<u64>, contended: bool) -> Self {
        Self { tokens, contended }
    }
}

/// The reason for which an attempt has no reply.
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
    /// made no sense. If in doubt, use this.
    pub fn outcome_unknown(error: BackendError) -> Self {
        Self {
            maybe_executed: true,
            passing: true,
            error,
        }
    }

    /// Declares that trying again is useless, such as after a refused password.
    #[must_use]
    pub fn lasting(mut self) -> Self {
        self.passing = false;
        self
    }

    /// Returns what went wrong.
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
    /// A handoff: the service made this waiter the owner.
    HandedOver {
        /// The owner that has the key now.
        owner: OwnerId,
        /// The tokens that its [`Claim`](super::Claim) asked for.
        granted: Granted,
        /// A time on our clock that is not later than the grant: the validity counts from here.
        since: Time,
        /// How long the lease lasts unless it is renewed.
        ttl: Duration,
    },
    /// The pool should ask again for every key: notifications may have been lost.
    Reconnected,
    /// There is [room](super::Backend::room) again, and no other event announces it.
    Room,
}
