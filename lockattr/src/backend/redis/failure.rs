//! What the errors of the client library mean for an attempt.

use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::stream::Address;
use crate::backend::{BackendError, BackendErrorKind, Failure};

/// The server's own words for «not now».
const PASSING: [&str; 10] = [
    "BUSY",
    "CLUSTERDOWN",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "NOREPLICAS",
    "OOM",
    "READONLY",
    "TRYAGAIN",
    "UNBLOCKED",
];

pub(super) fn classify(error: &RedisError) -> Failure {
    #[cfg(feature = "tls")]
    if let Some(error) = super::tls::explain(error) {
        return lost_on_the_way(error);
    }
    let kind = match error.kind() {
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => BackendErrorKind::Malformed,
        ErrorKind::AuthenticationFailed
        | ErrorKind::InvalidClientConfig
        | ErrorKind::RESP3NotSupported => BackendErrorKind::Refused,
        ErrorKind::Io | ErrorKind::Client if error.is_timeout() => BackendErrorKind::Timeout,
        ErrorKind::Io | ErrorKind::Client => BackendErrorKind::Unreachable,
        _ if error.code().is_some_and(|code| PASSING.contains(&code)) => {
            BackendErrorKind::Unavailable
        }
        // This one has no code of its own.
        _ if error.to_string().contains("max number of clients") => BackendErrorKind::Unavailable,
        _ => BackendErrorKind::Refused,
    };
    let by_server = matches!(
        kind,
        BackendErrorKind::Unavailable | BackendErrorKind::Refused
    );
    Failure {
        maybe_executed: !by_server,
        passing: kind != BackendErrorKind::Refused,
        error: BackendError::new(kind, explained(&error.to_string())),
    }
}

/// The server's words, with the remedy where the user has too few rights.
fn explained(error: &str) -> String {
    let error = without_args(error);
    // The second is what a script gets to hear.
    let is_about_rights = error.contains("no permissions") || error.contains("can't run this");
    if is_about_rights {
        format!("{error}; see «rights» in the README")
    } else {
        error.to_owned()
    }
}

/// A server that does not know a command repeats what came with it: names of channels and owners, and
/// with HELLO even the password.
pub(super) fn without_args(error: &str) -> &str {
    let end = error.find("with args").unwrap_or(error.len());
    error[..end].trim_end_matches([' ', ',', '.'])
}

/// What went wrong for one attempt of a batch, in the server's words.
pub(super) fn of_attempt(error: &str) -> Failure {
    let code = error.trim_start_matches('-').split(' ').next();
    let kind = if code.is_some_and(|code| PASSING.contains(&code)) {
        BackendErrorKind::Unavailable
    } else {
        BackendErrorKind::Refused
    };
    Failure {
        maybe_executed: false,
        passing: kind != BackendErrorKind::Refused,
        error: BackendError::new(kind, explained(error)),
    }
}

pub(super) fn not_sent(error: BackendError) -> Failure {
    Failure {
        maybe_executed: false,
        passing: error.kind() != BackendErrorKind::Refused,
        error,
    }
}

pub(super) fn lost_on_the_way(error: BackendError) -> Failure {
    Failure {
        maybe_executed: true,
        passing: true,
        error,
    }
}

pub(super) fn malformed() -> Failure {
    let error = BackendError::new(
        BackendErrorKind::Malformed,
        "the server's answer makes no sense for a lock script",
    );
    Failure {
        maybe_executed: true,
        passing: false,
        error,
    }
}

pub(super) fn unreachable(error: &std::io::Error) -> BackendError {
    BackendError::new(BackendErrorKind::Unreachable, error.to_string())
}

pub(super) fn confused() -> BackendError {
    BackendError::new(
        BackendErrorKind::Malformed,
        "an answer was lost on the way, so that the next one is another call's; the connection was \
         given up",
    )
}

pub(super) fn disconnected() -> BackendError {
    BackendError::new(BackendErrorKind::Unreachable, "the connection was lost")
}

pub(super) fn no_connection(within: Duration) -> BackendError {
    BackendError::new(
        BackendErrorKind::Timeout,
        format!(
            "no connection within {within:?}: the way there is closed, the server hangs, or \
             rediss:// meets a port without TLS"
        ),
    )
}

pub(super) fn moved(master: &Address) -> BackendError {
    BackendError::new(
        BackendErrorKind::Unavailable,
        format!("the sentinels name another master, {master}; the connection was given up"),
    )
}

pub(super) fn no_answer(within: Duration) -> BackendError {
    let said = format!("no answer within {within:?}");
    BackendError::new(BackendErrorKind::Timeout, said)
}

pub(super) fn not_of_a_sentinel() -> BackendError {
    BackendError::new(
        BackendErrorKind::Malformed,
        "its answer makes no sense for a sentinel",
    )
}

pub(super) fn silent() -> BackendError {
    BackendError::new(
        BackendErrorKind::Timeout,
        "the server does not answer; the connection was given up",
    )
}

/// Whether the server has become a replica.
pub(super) fn is_replica(failure: &Failure) -> bool {
    failure.error.to_string().contains("READONLY")
}

/// Whether the connection is of no more use: it is broken, its bytes make no sense, or its server
/// has become a replica.
pub(super) fn spoils_the_connection(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(kind) => kind == ServerErrorKind::ReadOnly,
        ErrorKind::Io | ErrorKind::Parse | ErrorKind::Client => true,
        _ => false,
    }
}
