//! What a lock service does for a pool: it executes single attempts and tells of handoffs.
//!
//! A backend decides nothing about leases: no retries, no validity, no renewal. Those are the
//! [`protocol`](crate::protocol)'s, and are the same for every lock service.

#[cfg(test)]
mod fingerprint;
pub(crate) mod memory;
#[cfg(feature = "redis")]
pub(crate) mod redis;

use std::ops::Range;
use std::task::{Context, Poll};
use std::time::Duration;

#[cfg(test)]
pub(crate) use fingerprint::hash_unordered;

use crate::clock::Time;
pub(crate) use crate::error::{BackendError, BackendErrorKind};
use crate::key::Key;
use crate::label::Label;
use crate::owner::OwnerId;

/// One question to the lock service.
#[derive(Debug, Clone)]
#[cfg_attr(test, derive(Hash))]
pub(crate) struct Attempt {
    pub(crate) id: AttemptId,
    pub(crate) key: Key,
    pub(crate) owner: OwnerId,
    pub(crate) claim: Claim,
    /// Who asks, for people who look at the server.
    #[cfg_attr(
        not(feature = "redis"),
        expect(dead_code, reason = "nobody looks into memory")
    )]
    pub(crate) label: Label,
    pub(crate) op: Op,
}

/// What a waiter gets when the key is handed to it. The same in all attempts of one owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub(crate) struct Claim {
    /// How long the lease lasts unless it is renewed: what a waiter that is gone costs the others.
    pub(crate) ttl: Duration,
    /// How many fencing tokens to reserve, one for each local holder.
    pub(crate) tokens: u32,
}

/// Tells the attempts of one acquisition apart, so that late replies to older ones are noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct AttemptId {
    pub(crate) acquisition: u64,
    pub(crate) number: u64,
}

/// What an attempt asks for. Each is idempotent for one owner id.
#[derive(Debug, Clone)]
#[cfg_attr(test, derive(Hash))]
pub(crate) enum Op {
    /// Take the key if it is free and nobody waits for it, or say so again if this owner has it
    /// already; otherwise take a place in the queue.
    Acquire { ttl: Duration },
    /// Let the lease end `ttl` from now, if this owner still has it. Never ends it sooner, and
    /// never takes a key that is free.
    Renew {
        ttl: Duration,
        /// How many more fencing tokens to reserve.
        tokens: u32,
    },
    /// Hand the key to the next waiter if this owner has it.
    Release {
        /// Give up the place in the queue too.
        queued: bool,
        /// Refuse this owner's acquires for so long, because one may still be on its way.
        tombstone: Option<Duration>,
    },
}

/// What the lock service answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub(crate) enum Reply {
    /// The owner has the key.
    Granted(Granted),
    /// Somebody else has the key. The service keeps our place and will send [`Event::Granted`].
    Held {
        /// When the present lease ends, if it is not renewed.
        ends_in: Duration,
    },
    /// A tombstone stands for this owner.
    Tombstoned,
    /// The lease goes on.
    Renewed(Granted),
    /// The owner does not have the key (any more).
    Gone,
    /// The owner has the key no more, whether or not it had it before.
    Released,
}

/// What comes with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub(crate) struct Granted {
    /// The fencing tokens of this grant: greater than all before, for this owner alone.
    pub(crate) tokens: Range<u64>,
    /// Whether others wait for the key.
    pub(crate) contended: bool,
}

/// Why an attempt has no reply.
#[derive(Debug, Clone)]
#[cfg_attr(test, derive(Hash))]
pub(crate) struct Failure {
    /// Whether the service may have executed the attempt, now or later.
    pub(crate) maybe_executed: bool,
    /// Whether the same attempt may succeed later.
    pub(crate) passing: bool,
    pub(crate) error: BackendError,
}

pub(crate) type Outcome = Result<Reply, Failure>;

/// What a backend reports.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub(crate) enum Event {
    /// An attempt is over, perhaps after it was overdue. At most one such event an attempt.
    Done(AttemptId, Outcome),
    /// The releasing holder made this waiter the owner.
    Granted {
        acquisition: u64,
        generation: u32,
        granted: Granted,
        /// Not later than the grant, on our clock: the validity counts from here.
        since: Time,
        /// How long the lease lasts unless it is renewed.
        ttl: Duration,
    },
    /// It is worth asking again for every key: notifications may have been lost.
    #[cfg_attr(
        not(feature = "redis"),
        expect(dead_code, reason = "the memory backend loses nothing")
    )]
    Reconnected,
}

/// A lock service, as the driver sees it. It lives on the pool's I/O thread.
pub(crate) trait Backend {
    /// The claim window that suits the way to the service, or that the settings ask for.
    fn claim_window(&self) -> Option<Duration> {
        None
    }

    /// Takes an attempt on. Its outcome comes from [`poll_event`](Self::poll_event).
    fn submit(&mut self, attempt: Attempt);

    /// No more attempts for now: those taken on are sent.
    fn flush(&mut self);

    /// The next event, whenever there is one.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event>;

    /// Nobody waits for this attempt any longer: its reply is overdue.
    fn overdue(&mut self, attempt: AttemptId);
}
