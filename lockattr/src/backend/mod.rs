//! The interface of lock services: a backend executes single attempts, and reports handoffs.
//!
//! A backend decides nothing about leases: retries, validity and renewal are the pool's, and are
//! the same for every lock service. So a backend for another service, in its own crate, is a
//! [`Backend`] that translates an [`Attempt`] into the service's requests and the service's answers
//! into [`Event`]s, and declares by its [`Capabilities`] what the service can do.
//! [`LockPoolBuilder::backend`](crate::LockPoolBuilder::backend) takes it, or
//! [`LockPoolBuilder::engine`](crate::LockPoolBuilder::engine) for all URLs of a scheme, and `conformance::check`
//! (feature `conformance`) tests it.
//!
//! **Unstable:** this module may change with any version before 1.0.
//!
//! # What a backend must keep
//!
//! * *Exclusion.* One owner has a key at a time, from its grant to its release or the end of its
//!   lease, on the service's clock; several where the service has [modes](crate::Mode) and theirs allow it.
//!   A lease ends by itself, also when the process is gone.
//! * *Fencing.* Each grant of a key has greater tokens than all grants before, also after the service
//!   was restarted, and no two owners ever have the same.
//! * *Idempotence.* The same operation of the same owner can be executed again, and late. A tombstone
//!   refuses an acquire that is executed after its owner has given up.
//! * *Honest outcomes.* What may have been executed is
//!   [`Failure::outcome_unknown`](Failure::outcome_unknown). Nothing is sent a second time.
//! * *Order.* A release is executed before an acquire for the same key that was submitted after it. An
//!   owner has one attempt at a time, unless its previous attempt is [overdue](Backend::overdue).
//!
//! A lease that is bound to a session of the process, as in etcd or `ZooKeeper`, is renewed like
//! any other: one keep-alive of the session answers all renewals of a [flush](Backend::flush).

mod answer;
mod attempt;
mod capabilities;
pub(crate) mod engine;
#[cfg(test)]
mod fingerprint;
mod inspection;
pub(crate) mod memory;
mod owner;
#[cfg(feature = "redis")]
pub(crate) mod quorum;
#[cfg(feature = "redis")]
pub(crate) mod redis;
mod who;

use std::pin::Pin;
use std::task::{Context, Poll};

pub use answer::{Event, Failure, Granted, Outcome, Reply};
pub use attempt::{Attempt, AttemptId, Claim, Confirmation, IfHeld, Op};
pub use capabilities::Capabilities;
pub(crate) use capabilities::Waiting;
pub use engine::{Engine, Patience, Service};
#[cfg(test)]
pub(crate) use fingerprint::hash_unordered;
pub use inspection::{Inspected, Inspecting, Inspection, Inspector};
pub(crate) use owner::LeaseId;
pub use owner::{OwnerId, OwnerIds};

pub use crate::clock::Time;
use crate::diagnosis::Diagnosis;
pub use crate::error::{BackendError, BackendErrorKind};
pub use crate::holder::Holder;
pub use crate::queue::{Queue, Waiter};

/// An examination of the service that is under way.
pub type Examination = Pin<Box<dyn Future<Output = Diagnosis> + Send>>;

/// A lock service, as a pool uses it.
///
/// It lives on the pool's I/O thread, in its tokio runtime (`current_thread`, with I/O and timers),
/// so its methods must not block. It is dropped when the pool ends, after the last release.
pub trait Backend: 'static {
    /// Returns what the service can do. Called once, after the connection.
    fn capabilities(&self) -> Capabilities;

    /// Returns how many of the `waiting` attempts of this lane the service should get now. The
    /// others wait in the pool, where releases overtake acquires and a call can still give up; so a
    /// backend makes fewer and larger requests while the service is busy. A [`Done`](Event::Done)
    /// makes the pool ask again, or an [`Event::Room`]. Defaults to all.
    fn room(&self, lane: usize, waiting: usize) -> usize {
        let _ = lane;
        waiting
    }

    /// Takes an attempt. Its outcome comes from [`poll_event`](Self::poll_event).
    fn submit(&mut self, attempt: Attempt);

    /// Sends the attempts taken so far: no more follow for now.
    fn flush(&mut self) {}

    /// Returns the next event, if there is one. Otherwise keeps the waker, and calls it when there
    /// is one.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event>;

    /// Says what the service can and cannot promise, for [`doctor`](crate::doctor()) and at start-up. It
    /// must end by itself when the service does not answer. Defaults to nothing.
    fn examine(&self) -> Examination {
        Box::pin(std::future::ready(Diagnosis::of("a lock service")))
    }

    /// Returns what answers questions about the locks of any pool, by the ways to the service that there are
    /// now. Defaults to none: then [`LockPool::holder`](crate::LockPool::holder) and its like are refused. It
    /// answers what it does not know with [`Inspected::default`].
    fn inspector(&self) -> Option<Inspector> {
        None
    }

    /// The pool no longer waits for this attempt. If it is not sent yet, it need not be; an outcome
    /// that still comes is useful, since it measures the round trip.
    fn overdue(&mut self, attempt: AttemptId) {
        let _ = attempt;
    }
}

impl Backend for Box<dyn Backend> {
    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }

    fn room(&self, lane: usize, waiting: usize) -> usize {
        (**self).room(lane, waiting)
    }

    fn submit(&mut self, attempt: Attempt) {
        (**self).submit(attempt);
    }

    fn flush(&mut self) {
        (**self).flush();
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        (**self).poll_event(cx)
    }

    fn examine(&self) -> Examination {
        (**self).examine()
    }

    fn inspector(&self) -> Option<Inspector> {
        (**self).inspector()
    }

    fn overdue(&mut self, attempt: AttemptId) {
        (**self).overdue(attempt);
    }
}
