//! Failures of a lock service, without the types of its client library.

use std::fmt;
use std::sync::Arc;

/// The longest message, in characters.
const LONGEST: usize = 500;

/// A failure of the lock service.
///
/// The text never holds credentials.
#[derive(Debug, Clone)]
#[cfg_attr(test, derive(Hash))]
pub struct BackendError {
    kind: BackendErrorKind,
    message: Arc<str>,
}

/// The kind of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BackendErrorKind {
    /// No connection, or the connection was lost.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// The server cannot do it at present: it is loading, runs a script, is out of memory, or is a
    /// replica.
    Unavailable,
    /// The server refuses: missing rights, wrong password, or a foreign value under the lock's
    /// name.
    Refused,
    /// The server's certificate is not trusted.
    Untrusted,
    /// The answer made no sense.
    Malformed,
    /// Too few copies were confirmed in time, see
    /// [`confirm_replicas`](crate::LockRequest::confirm_replicas). What was granted so was given back.
    #[non_exhaustive]
    Unconfirmed {
        /// How many copies were confirmed: replicas, and with `confirm_fsync` the server's own file.
        confirmed: u32,
        /// How many were asked for.
        wanted: u32,
    },
}

impl BackendError {
    /// For a [backend](crate::backend) of your own. The message must hold no credential and no owner
    /// id. Much of it may be the server's, or that of another program in its place: it is cut after
    /// 500 characters, and kept on one line.
    pub fn new(kind: BackendErrorKind, message: impl AsRef<str>) -> Self {
        let message: String = message
            .as_ref()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(LONGEST)
            .collect();
        Self {
            kind,
            message: message.into(),
        }
    }

    /// Returns the kind of failure.
    pub fn kind(&self) -> BackendErrorKind {
        self.kind
    }
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for BackendError {}
