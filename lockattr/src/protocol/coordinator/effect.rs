//! What the coordinator wants the driver to do.

use std::fmt;

use crate::Error;
use crate::backend::LeaseId;
use crate::clock::Time;
use crate::key::Key;
use crate::protocol::{LineName, Notice, Waiter};

/// A call that waits for a lease.
pub(crate) trait Caller {
    /// The trace to which the events of the call belong.
    type Trace: Clone + fmt::Debug;

    fn trace(&self) -> Self::Trace;
}

/// One thing for the driver to do, outside of any mutex: each of them may run foreign code.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(crate) enum Effect<C: Caller, R> {
    /// The lease goes to the waiter. If the waiter is gone, the driver gives the lease back by
    /// [`release`](super::Coordinator::release).
    Granted {
        lease: LeaseId,
        waiter: Waiter<C>,
        token: u64,
        valid_until: Time,
    },
    /// The waiter gets no lease.
    Refused { waiter: Waiter<C>, error: Error },
    /// A notice about the acquisition of a lease.
    Noticed {
        lease: LeaseId,
        key: Key,
        /// The trace of the call on whose behalf the lease is asked for; `None` once it is granted.
        asker: Option<C::Trace>,
        notice: Notice,
    },
    /// The lease's holder may not have taken it up in time. If it has not, the driver gives the
    /// lease back; if the offer is younger, it calls
    /// [`check_offer`](super::Coordinator::check_offer).
    CheckOffer { lease: LeaseId, line: LineName },
    /// Answers a request for a release, an extension, or the end of the pool.
    Answered { to: R, answer: Result<(), Error> },
}

/// What happens to a lease that its holder gives back.
#[derive(Debug)]
pub(crate) enum Released<C> {
    /// It goes to the next waiter of the process.
    Passed { waiter: Waiter<C>, token: u64 },
    /// It goes back to the lock service.
    Over,
}

/// The answer to a caller that asks for a lease.
#[derive(Debug)]
pub(crate) enum Queued<C> {
    Waiting {
        waiter: u64,
        /// Whether the lease is asked for on behalf of this caller.
        is_first: bool,
    },
    Refused(C, Error),
}
