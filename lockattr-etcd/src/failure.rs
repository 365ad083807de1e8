//! What etcd's refusals, and those of the way to it, mean for an attempt.

use lockattr::backend::{BackendError, BackendErrorKind, Failure};
use tonic::{Code, Status};

use crate::rpc::{CallError, in_full};

/// Why a question has no answer.
#[derive(Debug, Clone)]
pub(crate) enum Problem {
    /// Nothing was executed: etcd does not know the lease, or no longer.
    LeaseIsGone,
    NotExecuted(Failure),
    /// It may have been executed, or may be executed later.
    InDoubt(BackendError),
}

impl Problem {
    fn not_executed(error: BackendError) -> Self {
        Self::NotExecuted(Failure::not_executed(error))
    }

    /// What to say of it.
    pub(crate) fn error(&self) -> BackendError {
        Failure::from(self.clone()).error().clone()
    }

    /// As it looks when something else of the same attempt was executed.
    pub(crate) fn in_doubt(self) -> Self {
        match self {
            Self::LeaseIsGone => self,
            Self::NotExecuted(failure) => Self::InDoubt(failure.error().clone()),
            Self::InDoubt(error) => Self::InDoubt(error),
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        match problem {
            // Other leases were tried already. Etcd may keep one of them for longer than is known here.
            Problem::LeaseIsGone => Self::outcome_unknown(BackendError::new(
                BackendErrorKind::Unavailable,
                "leases of etcd end as soon as they are granted",
            )),
            Problem::NotExecuted(failure) => failure,
            Problem::InDoubt(error) => Self::outcome_unknown(error),
        }
    }
}

/// What a failed call says about the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// It works; the question was refused.
    Question,
    /// The token does not count any longer.
    Token,
    /// Another member should be asked.
    Connection,
}

impl CallError {
    pub(crate) fn blame(&self) -> Blame {
        let Self::Status(status) = self else {
            return Blame::Connection;
        };
        let said = status.message();
        match status.code() {
            Code::Unauthenticated => Blame::Token,
            Code::InvalidArgument if said.contains("auth store is old") => Blame::Token,
            Code::Unavailable if is_no_leader(said) || said.contains("server stopped") => {
                Blame::Connection
            }
            // What the server says itself begins so.
            _ if said.starts_with("etcdserver:") => Blame::Question,
            Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled => {
                Blame::Connection
            }
            _ => Blame::Question,
        }
    }

    pub(crate) fn into_problem(self) -> Problem {
        match self {
            Self::NotSent(reason) => Problem::not_executed(unreachable(&reason)),
            Self::GivenUp => Problem::InDoubt(BackendError::new(
                BackendErrorKind::Timeout,
                "the connection was given up: etcd does not answer",
            )),
            Self::Status(status)
                if status.code() == Code::NotFound && status.message().contains("lease") =>
            {
                Problem::LeaseIsGone
            }
            Self::Status(status) => of(&status),
        }
    }
}

fn is_no_leader(said: &str) -> bool {
    said == "etcdserver: no leader"
}

fn of(status: &Status) -> Problem {
    let said = status.message();
    let error = |kind| BackendError::new(kind, said);
    match status.code() {
        // Etcd checks all of a request before it executes any of it.
        Code::PermissionDenied
        | Code::Unauthenticated
        | Code::Unimplemented
        | Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::NotFound => Problem::NotExecuted(refused(said)),
        // The quota of the database, or too many requests.
        Code::ResourceExhausted => Problem::not_executed(error(BackendErrorKind::Unavailable)),
        Code::Unavailable if is_no_leader(said) => {
            Problem::not_executed(error(BackendErrorKind::Unavailable))
        }
        Code::Unavailable if said.starts_with("etcdserver:") => {
            Problem::InDoubt(error(BackendErrorKind::Unavailable))
        }
        Code::DeadlineExceeded => Problem::InDoubt(error(BackendErrorKind::Timeout)),
        _ => Problem::InDoubt(unreachable(&in_full(status))),
    }
}

pub(crate) fn unreachable(reason: &str) -> BackendError {
    let kind = if is_about_certificates(reason) {
        BackendErrorKind::Untrusted
    } else {
        BackendErrorKind::Unreachable
    };
    BackendError::new(kind, reason)
}

fn is_about_certificates(reason: &str) -> bool {
    reason.contains("certificate") || reason.contains("UnknownIssuer")
}

pub(crate) fn silent() -> BackendError {
    BackendError::new(BackendErrorKind::Timeout, "etcd does not answer")
}

pub(crate) fn malformed(what: &str) -> Problem {
    let message = format!("an answer of etcd makes no sense: {what}");
    Problem::InDoubt(BackendError::new(BackendErrorKind::Malformed, message))
}

pub(crate) fn refused(what: &str) -> Failure {
    Failure::not_executed(BackendError::new(BackendErrorKind::Refused, what)).lasting()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(code: Code, said: &str) -> (Blame, String) {
        let error = CallError::Status(Status::new(code, said));
        let blame = error.blame();
        (blame, format!("{:?}", error.into_problem()))
    }

    #[test]
    fn what_etcd_refused_was_not_executed_and_what_it_lost_may_have_been() {
        for (code, said, blame, is_unknown) in [
            (
                Code::PermissionDenied,
                "etcdserver: permission denied",
                Blame::Question,
                false,
            ),
            (
                Code::ResourceExhausted,
                "etcdserver: mvcc: database space exceeded",
                Blame::Question,
                false,
            ),
            (
                Code::Unavailable,
                "etcdserver: no leader",
                Blame::Connection,
                false,
            ),
            (
                Code::Unavailable,
                "etcdserver: leader changed",
                Blame::Question,
                true,
            ),
            (
                Code::Unavailable,
                "etcdserver: request timed out",
                Blame::Question,
                true,
            ),
            (
                Code::Unavailable,
                "etcdserver: server stopped",
                Blame::Connection,
                true,
            ),
            (Code::Unknown, "transport error", Blame::Connection, true),
            (
                Code::Unauthenticated,
                "etcdserver: invalid auth token",
                Blame::Token,
                false,
            ),
            (
                Code::InvalidArgument,
                "etcdserver: revision of auth store is old",
                Blame::Token,
                false,
            ),
        ] {
            let (seen, text) = problem(code, said);
            assert_eq!(seen, blame, "{said}");
            let unknown = text.starts_with("InDoubt");
            assert_eq!(unknown, is_unknown, "{said}: {text}");
        }
    }

    #[test]
    fn a_lease_that_is_gone_is_no_failure_yet() {
        let (blame, text) = problem(Code::NotFound, "etcdserver: requested lease not found");
        assert_eq!((blame, &*text), (Blame::Question, "LeaseIsGone"));
    }
}
