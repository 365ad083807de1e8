//! What the errors of the client library mean for an attempt.

use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::stream::Address;
use crate::backend::{BackendError, BackendErrorKind, Confirmation, Failure};

/// The server's error codes for "not now".
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

/// The server's error codes for a call that it refuses, now and later.
const LASTING: [&str; 7] = [
    "CROSSSLOT",
    "NOAUTH",
    "NOPERM",
    "NOPROTO",
    "NOSCRIPT",
    "WRONGPASS",
    "WRONGTYPE",
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
        _ if error.code().is_some_and(|code| LASTING.contains(&code)) => BackendErrorKind::Refused,
        _ if lacks_command(error) => BackendErrorKind::Refused,
        // In any words: a proxy has lost the server, or the server takes no more clients.
        _ => BackendErrorKind::Unavailable,
    };
    // What a proxy says in words of its own, the server may have executed.
    let is_known = kind == BackendErrorKind::Refused
        || error.code().is_some_and(|code| PASSING.contains(&code));
    Failure {
        maybe_executed: !is_known,
        passing: kind != BackendErrorKind::Refused,
        error: BackendError::new(kind, explained(&error.to_string())),
    }
}

/// Whether a command is renamed, or not passed on by a proxy.
pub(super) fn lacks_command(error: &RedisError) -> bool {
    error
        .to_string()
        .to_ascii_lowercase()
        .contains("unknown command")
}

pub(super) fn is_about_rights(error: &str) -> bool {
    // Written with another letter by the newer servers; the second text is what a script gets.
    let error = error.to_ascii_lowercase();
    error.contains("no permissions") || error.contains("can't run this")
}

/// Returns the server's words, with the remedy if the user has too few rights.
fn explained(error: &str) -> String {
    let error = without_args(error);
    if is_about_rights(error) {
        format!("{error}; see `Rights` in docs/operations.md")
    } else {
        error.to_owned()
    }
}

/// Cuts off the arguments: a server that does not know a command repeats them, such as names of
/// channels and owners, and with HELLO even the password.
pub(super) fn without_args(error: &str) -> &str {
    let end = error.find("with args").unwrap_or(error.len());
    error[..end].trim_end_matches([' ', ',', '.'])
}

/// Returns the failure of one attempt of a batch, in the server's words.
pub(super) fn of_attempt(error: &str) -> Failure {
    let code = error.trim_start_matches('-').split(' ').next();
    // While a slot of a cluster moves.
    let is_elsewhere = error.contains("non local key");
    let kind = if is_elsewhere || code.is_some_and(|code| PASSING.contains(&code)) {
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

/// A change has too few copies.
pub(super) fn unconfirmed(asked: Confirmation, confirmed: u32, wanted: u32) -> Failure {
    let within = asked.within;
    let (copies, remedy) = match (asked.fsync, asked.replicas) {
        (false, _) => (
            format!("{confirmed} of {wanted} replicas"),
            "see that the replicas are connected and in step (INFO replication), allow them more time by \
             `confirm_within` (a quarter of the ttl at most), or ask for fewer by `confirm_replicas`",
        ),
        (true, 0) => (
            "the server's append-only file is not on the disk: 0 of 1 copies".to_owned(),
            "allow more time by `confirm_within` (`appendfsync everysec` takes up to a second), or do \
             without `confirm_fsync`",
        ),
        (true, _) => (
            format!("{confirmed} of {wanted} append-only files, the server's and its replicas',"),
            "see that all of them have `appendonly yes` and are in step, allow more time by \
             `confirm_within`, or ask for fewer by `confirm_replicas`",
        ),
    };
    let message =
        format!("{copies} confirmed it within {within:?}, so it does not count; {remedy}");
    Failure {
        maybe_executed: true,
        passing: true,
        error: BackendError::new(BackendErrorKind::Unconfirmed { confirmed, wanted }, message),
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

pub(super) fn uncovered(slots: usize) -> BackendError {
    let message = if slots == 0 {
        "cluster_state is not ok: the cluster takes no commands".to_owned()
    } else {
        format!("{slots} slots of the cluster have no node; see redis-cli --cluster check")
    };
    BackendError::new(BackendErrorKind::Unavailable, message)
}

/// An attempt was sent from node to node.
pub(super) fn slot_is_moving() -> BackendError {
    BackendError::new(
        BackendErrorKind::Unavailable,
        "the slot of this key is moving from one node of the cluster to another",
    )
}

#[cfg(feature = "tls")]
pub(super) fn no_certificate_for_host() -> BackendError {
    BackendError::new(
        BackendErrorKind::Untrusted,
        "no certificate can be for the host that the cluster names for this node; see \
         cluster-announce-hostname",
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

/// Returns whether the server has become a replica.
pub(super) fn is_replica(failure: &Failure) -> bool {
    failure.error.to_string().contains("READONLY")
}

/// Returns whether the connection is no longer of use: it is broken, its bytes make no sense, or
/// its server has become a replica.
pub(super) fn spoils_the_connection(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(kind) => kind == ServerErrorKind::ReadOnly,
        ErrorKind::Io | ErrorKind::Parse | ErrorKind::Client => true,
        _ => false,
    }
}
