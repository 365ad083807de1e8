//! Answers of tonic.

use ::tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::cause::Cause;
use crate::Error;

/// Answers with a status that tells a client what it can do, and traces the error.
///
/// | error | code | reason |
/// | --- | --- | --- |
/// | [`Busy`](Error::Busy), [`Missed`](Error::Missed) | `ABORTED` | `LOCK_BUSY` |
/// | [`Backend`](Error::Backend), [`Inspection`](Error::Inspection), [`Connect`](Error::Connect), [`Closed`](Error::Closed), [`Unreleased`](Error::Unreleased) | `UNAVAILABLE` | `LOCK_UNAVAILABLE` |
/// | [`Lost`](Error::Lost) | `INTERNAL` | `LOCK_LOST` |
/// | [`InvalidKey`](Error::InvalidKey) | `INVALID_ARGUMENT` | `LOCK_KEY_INVALID` |
/// | all others | `INTERNAL` | `LOCK_ERROR` |
///
/// The status has the details `google.rpc.ErrorInfo`, with the reason and the domain `lockattr`, and
/// `google.rpc.RetryInfo` with [`Error::retry_after`] for those that a client may try again. `ABORTED` is
/// gRPC's code for conflicts between calls. Nothing in it names the key, the holder or the lock service.
impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let cause = Cause::traced(&error);
        let (code, reason) = match cause {
            Cause::Busy => (Code::Aborted, "LOCK_BUSY"),
            Cause::Unavailable => (Code::Unavailable, "LOCK_UNAVAILABLE"),
            Cause::Lost => (Code::Internal, "LOCK_LOST"),
            Cause::InvalidKey => (Code::InvalidArgument, "LOCK_KEY_INVALID"),
            Cause::Internal => (Code::Internal, "LOCK_ERROR"),
        };
        let mut details = ErrorDetails::with_error_info(reason, "lockattr", []);
        if let Some(after) = error.retry_after() {
            details.set_retry_info(Some(after));
        }
        Status::with_error_details(code, cause.detail(), details)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_client_sees_whether_and_when_to_try_again() {
        let busy = Error::Busy {
            key: "secret".into(),
            waited: Duration::ZERO,
            retry_after: Some(Duration::from_millis(2100)),
            holder: Some("secret".into()),
        };
        let status = Status::from(busy);
        assert_eq!(status.code(), Code::Aborted);
        assert!(!format!("{status:?}").contains("secret"), "{status:?}");
        let details = status.get_error_details();
        let retry = details.retry_info().unwrap();
        assert_eq!(retry.retry_delay, Some(Duration::from_secs(3)));
        assert_eq!(details.error_info().unwrap().reason, "LOCK_BUSY");

        let closed = Status::from(Error::Closed);
        assert_eq!(closed.code(), Code::Unavailable);
        assert!(closed.get_error_details().retry_info().is_none());
    }
}
