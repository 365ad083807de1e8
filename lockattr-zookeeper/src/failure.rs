//! What went wrong, and whether the request may have been executed.

use lockattr::backend::{BackendError, BackendErrorKind, Failure};
use zookeeper_client::Error;

/// Why a request has no answer.
#[derive(Debug, Clone)]
pub(crate) enum Trouble {
    /// The session is over, and its nodes with it.
    SessionOver,
    /// It may be executed, or not.
    Unknown(BackendError),
    /// It was not executed. `lasting` if it never will be.
    Refused { error: BackendError, lasting: bool },
    /// There is no such node.
    NoNode,
    /// There is such a node already.
    NodeExists,
}

pub(crate) type Asked<T> = Result<T, Trouble>;

impl Trouble {
    pub(crate) fn silent() -> Self {
        Self::Unknown(BackendError::new(
            BackendErrorKind::Timeout,
            "ZooKeeper does not answer",
        ))
    }

    pub(crate) fn refused(message: impl AsRef<str>) -> Self {
        Self::Refused {
            error: BackendError::new(BackendErrorKind::Refused, message),
            lasting: true,
        }
    }

    pub(crate) fn unavailable(message: impl AsRef<str>) -> Self {
        Self::Refused {
            error: BackendError::new(BackendErrorKind::Unavailable, message),
            lasting: false,
        }
    }

    pub(crate) fn malformed(message: impl AsRef<str>) -> Self {
        Self::Unknown(BackendError::new(BackendErrorKind::Malformed, message))
    }

    pub(crate) fn into_error(self) -> BackendError {
        match self {
            Self::Unknown(error) | Self::Refused { error, .. } => error,
            Self::SessionOver => BackendError::new(
                BackendErrorKind::Unreachable,
                "the session with ZooKeeper is over",
            ),
            Self::NoNode | Self::NodeExists => BackendError::new(
                BackendErrorKind::Malformed,
                "a node of ZooKeeper came or went unexpectedly",
            ),
        }
    }

    /// The failure of an attempt; `changed` if an earlier request of it may have been executed.
    pub(crate) fn into_failure(self, changed: bool) -> Failure {
        match self {
            Self::Refused { error, lasting } if !changed => {
                let failure = Failure::not_executed(error);
                if lasting { failure.lasting() } else { failure }
            }
            Self::Refused {
                error,
                lasting: true,
            } => Failure::outcome_unknown(error).lasting(),
            other => Failure::outcome_unknown(other.into_error()),
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        match error {
            Error::SessionExpired | Error::ClientClosed => Self::SessionOver,
            Error::NoNode => Self::NoNode,
            Error::NodeExists => Self::NodeExists,
            Error::NoAuth => Self::refused(
                "the user may not read, create or delete these nodes; name the one who made them in the URL \
                 (user:password@), or another chroot",
            ),
            Error::AuthFailed | Error::InvalidAcl => {
                Self::refused("ZooKeeper refuses the user or the password of the URL")
            }
            Error::Unimplemented => {
                Self::refused("this server knows no container nodes: use ZooKeeper 3.5.3 or newer")
            }
            Error::QuotaExceeded | Error::Throttled | Error::NotReadOnly => {
                Self::unavailable(format!("ZooKeeper does not take it now: {error}"))
            }
            Error::BadArguments(_) => Self::refused(error.to_string()),
            Error::UnmarshalError { .. } | Error::UnexpectedErrorCode(_) => {
                Self::malformed(error.to_string())
            }
            Error::NoHosts | Error::ConnectionLoss | Error::Timeout => {
                let text = format!("the connection to ZooKeeper was lost: {error}");
                Self::Unknown(BackendError::new(BackendErrorKind::Unreachable, text))
            }
            other => {
                let text = other.to_string();
                Self::Unknown(BackendError::new(BackendErrorKind::Unreachable, text))
            }
        }
    }
}
