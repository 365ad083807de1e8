//! The life of leases as pure state machines: no clock, no sockets, no tokio.
//!
//! [`Keeper`] holds all acquisitions of a pool and the local queues; [`Acquisition`] is the life of
//! one of them, from the first attempt to the confirmed release. Whoever drives them says what
//! time it is and what happened, sends the attempts they ask for, and passes on their notices.

mod acquisition;
mod keeper;
mod lanes;
#[cfg(test)]
mod simulation;
mod turns;

pub(crate) use acquisition::Terms;
pub(crate) use keeper::{Keeper, Limits};

use std::time::Duration;

use crate::backend::BackendError;
use crate::clock::Time;
use crate::{Error, LossReason};

/// What a caller, or whoever watches the pool, is told about one acquisition.
#[derive(Debug)]
pub(crate) enum Notice {
    /// Somebody else has the key; the acquisition waits.
    Waiting { ends_in: Option<Duration> },
    /// The lease is there.
    Acquired { token: u64, valid_until: Time },
    /// There will be no lease.
    Failed(Error),
    /// The lease goes on until then.
    Renewed { valid_until: Time },
    /// A renewal failed; it is tried again while the lease is valid.
    RenewalFailed(BackendError),
    /// The answer to an `extend`.
    Extended(Result<(), Error>),
    /// The lease is over, and its holder does not know yet.
    Lost(LossReason),
    /// It ended without anything to release. This or one of the next but `ReleaseDelayed` is the last notice.
    Withdrawn,
    /// The release was confirmed.
    Released,
    /// The release failed; it is tried again in the background.
    ReleaseDelayed(BackendError),
    /// The release was never confirmed; the lease ended by its ttl.
    ReleaseAbandoned,
}
