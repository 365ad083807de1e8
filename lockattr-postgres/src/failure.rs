//! What the errors of the client library mean for an attempt.

use lockattr::backend::{BackendError, BackendErrorKind, Failure};
use tokio_postgres::Error;
use tokio_postgres::error::{Severity, SqlState};

/// Returns the error of the service, in the server's words.
pub(crate) fn of(error: &Error) -> BackendError {
    let Some(said) = error.as_db_error() else {
        // Such as the end of a connection. The cause says which.
        let text = match std::error::Error::source(error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        return BackendError::new(BackendErrorKind::Unreachable, text);
    };
    let code = said.code();
    let (kind, remedy) = match code.code() {
        "42501" => (
            BackendErrorKind::Refused,
            "; grant what the documentation of `lockattr_postgres::schema_sql` lists",
        ),
        "LOCK2" => (
            BackendErrorKind::Refused,
            "; alter role … set default_transaction_isolation = 'read committed'",
        ),
        // Rights, a wrong password, a missing database, what is not there or has another form.
        it if ["28", "3D", "3F", "42", "0A"]
            .iter()
            .any(|class| it.starts_with(class)) =>
        {
            (BackendErrorKind::Refused, "")
        }
        _ => (BackendErrorKind::Unavailable, ""),
    };
    BackendError::new(
        kind,
        format!("{} (SQLSTATE {}){remedy}", said.message(), code.code()),
    )
}

/// Returns what an error means for all attempts of a batch: they are one transaction.
pub(crate) fn of_batch(error: &Error) -> Failure {
    let explained = of(error);
    // The server says so in an answer, after it has undone everything; but not when it, or a pooler, ends the connection, or
    // when it was told to stop, perhaps after the commit.
    let is_undone = error.as_db_error().is_some_and(|it| {
        it.parsed_severity() == Some(Severity::Error)
            && *it.code() != SqlState::QUERY_CANCELED
            && !it.code().code().starts_with("08")
    });
    let lasts = explained.kind() == BackendErrorKind::Refused;
    let failure = if is_undone {
        Failure::not_executed(explained)
    } else {
        Failure::outcome_unknown(explained)
    };
    if lasts { failure.lasting() } else { failure }
}

/// Whether the server takes no writes any longer, so that another one has to be found.
pub(crate) fn is_standby(error: &Error) -> bool {
    error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION)
}

pub(crate) fn silent() -> BackendError {
    BackendError::new(BackendErrorKind::Timeout, "the server does not answer")
}

pub(crate) fn disconnected() -> BackendError {
    BackendError::new(BackendErrorKind::Unreachable, "the connection was lost")
}

pub(crate) fn malformed(what: &str) -> BackendError {
    BackendError::new(
        BackendErrorKind::Malformed,
        format!("the answer made no sense: {what}"),
    )
}
