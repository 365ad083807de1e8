//! What a lock service does for a pool: it executes single attempts and tells of handoffs.
//!
//! A backend decides nothing about leases: no retries, no validity, no renewal. Those are the
//! [`protocol`](crate::protocol)'s, and are the same for every lock service.

mod error;
pub(crate) mod memory;
#[cfg(feature = "redis")]
pub(crate) mod redis;

use std::task::{Context, Poll};
use std::time::Duration;

pub use error::{BackendError, BackendErrorKind};

use crate::clock::Time;
use crate::key::Key;
use crate::label::Label;
use crate::owner::OwnerId;

/// One question to the lock service.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) id: AttemptId,
    pub(crate) key: Key,
    pub(crate) owner: OwnerId,
    pub(crate) op: Op,
}

/// Tells the attempts of one acquisition apart, so that late replies to older ones are noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct AttemptId {
    pub(crate) acquisition: u64,
    pub(crate) number: u32,
}

/// What an attempt asks for. Each is idempotent for one owner id.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    /// Take the key if it is free, or say so again if this owner has it already.
    Acquire {
        ttl: Duration,
        /// Who asks, for people who look at the server.
        #[cfg_attr(
            not(feature = "redis"),
            expect(dead_code, reason = "nobody looks into memory")
        )]
        label: Label,
    },
    /// Let the lease end `ttl` from now, if this owner still has it. Never ends it sooner, and
    /// never takes a key that is free.
    Renew { ttl: Duration },
    /// Give the key up if this owner has it, and its place in the queue if it waits.
    Release {
        /// Refuse this owner's acquires for so long, because one may still be on its way.
        tombstone: Option<Duration>,
    },
}

/// What the lock service answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The owner has the key, under this fencing token.
    Granted { token: u64 },
    /// Somebody else has the key.
    Held {
        /// When the present lease ends, if it is not renewed.
        ends_in: Duration,
        /// Whether the service keeps our place and will send [`Event::Granted`]. If not, the
        /// asker comes again when it is worth trying.
        queued: bool,
    },
    /// A tombstone stands for this owner.
    Tombstoned,
    /// The lease goes on.
    Renewed,
    /// The owner does not have the key (any more).
    Gone,
    /// The owner has the key no more, whether or not it had it before.
    Released,
}

/// Why an attempt has no reply.
#[derive(Debug, Clone)]
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
pub(crate) enum Event {
    /// An attempt is over. At most one such event an attempt.
    Done(AttemptId, Outcome),
    /// The releasing holder made this waiter the owner.
    Granted {
        owner: OwnerId,
        token: u64,
        /// Not later than the grant, on our clock: the validity counts from here.
        since: Time,
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
    /// Starts an attempt. Its outcome comes from [`poll_event`](Self::poll_event).
    fn submit(&mut self, attempt: Attempt);

    /// The next event, whenever there is one.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event>;

    /// Nobody waits for this attempt any longer: its reply is overdue.
    fn overdue(&mut self, attempt: AttemptId);
}
