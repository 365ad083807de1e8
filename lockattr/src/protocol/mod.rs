//! The life of leases as pure state machines: no clock, no sockets, no tokio.
//!
//! [`Coordinator`] is the driver's interface. In it, [`LocalQueues`](local_queues::LocalQueues)
//! decides which caller of a process is next, and when a lease is passed on inside it;
//! [`Keeper`](keeper::Keeper) holds all acquisitions of a pool, and
//! [`Acquisition`](acquisition::Acquisition) is the life of one lease, from the first attempt to
//! the confirmed release.

mod acquisition;
mod coordinator;
mod keeper;
mod lanes;
mod local_queues;
#[cfg(test)]
mod model;
#[cfg(test)]
mod simulation;

pub(crate) use acquisition::Terms;
pub(crate) use coordinator::{Caller, Coordinator, Effect, Queued, Released};
pub(crate) use keeper::Limits;
pub(crate) use local_queues::{Batch, LineName, Waiter};

use std::sync::Arc;
use std::time::Duration;

use crate::backend::{BackendError, Granted};
use crate::clock::Time;
use crate::{Error, LossReason};

/// What happened to one acquisition.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(crate) enum Notice {
    /// Another lease has the key; the acquisition waits.
    Waiting {
        ends_in: Duration,
        /// Its holder, as text for people.
        holder: Option<Arc<str>>,
    },
    /// The lock service failed; it is asked again.
    Trouble(BackendError),
    /// The lease was granted.
    Acquired { granted: Granted, valid_until: Time },
    /// There will be no lease.
    Failed(Error),
    /// The lease was renewed, and is valid until then.
    Renewed { contended: bool, valid_until: Time },
    /// A renewal failed; it is tried again while the lease is valid.
    RenewalFailed(BackendError),
    /// Tokens for more holders were reserved.
    Reserved(Granted),
    /// No more tokens: the lease is passed on until the present ones are used up.
    ReservationFailed(BackendError),
    /// The answer to the `extend` of this number.
    Extended {
        number: u64,
        answer: Result<(), Error>,
    },
    /// The lease is over, and its holder does not know yet.
    Lost(LossReason),
    /// The acquisition ended without anything to release. Its last notice is this one, `Released`
    /// or `ReleaseAbandoned`.
    Withdrawn,
    /// The release was confirmed.
    Released,
    /// The release failed; it is tried again in the background.
    ReleaseDelayed(BackendError),
    /// The release was never confirmed; the lease ended by its ttl.
    ReleaseAbandoned,
}
