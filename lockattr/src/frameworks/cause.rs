//! What a client is told of an error.

use tracing::{debug, warn};

use crate::Error;

/// What went wrong, as far as it is a client's business. Keys, holders and addresses are not: they may name
/// other clients, and machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Another call has the lock.
    Busy,
    /// The lock service failed, or this process ends.
    Unavailable,
    /// The lease ended while the work was done.
    Lost,
    /// A value of the request makes no key.
    InvalidKey,
    /// The program or its settings are wrong.
    Internal,
}

impl Cause {
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::Busy { .. } | Error::Missed { .. } => Self::Busy,
            Error::Backend { .. }
            | Error::Inspection { .. }
            | Error::Connect { .. }
            | Error::Unreleased { .. }
            | Error::Closed => Self::Unavailable,
            Error::Lost { .. } => Self::Lost,
            Error::InvalidKey { .. } => Self::InvalidKey,
            _ => Self::Internal,
        }
    }

    /// Traces the error that becomes a client's answer, which does not hold all of it.
    pub(super) fn traced(error: &Error) -> Self {
        let cause = Self::of(error);
        match cause {
            Self::Busy | Self::InvalidKey => debug!(%error, "a client is answered with an error"),
            _ => warn!(%error, "a client is answered with an error"),
        }
        cause
    }

    pub(super) fn detail(self) -> &'static str {
        match self {
            Self::Busy => "Another request for the same resource is being processed.",
            Self::Unavailable => "The service cannot lock the resource at the moment.",
            Self::Lost => {
                "The lock on the resource was lost during the request, which may have been carried out in part."
            }
            Self::InvalidKey => "The request names its resource by a value that cannot be used.",
            Self::Internal => "The service could not lock the resource.",
        }
    }
}
