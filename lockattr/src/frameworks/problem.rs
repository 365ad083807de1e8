//! Problem details for HTTP clients.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::json;

use super::cause::Cause;
use crate::Error;

/// The media type of [`Problem::to_json`].
pub(super) const MEDIA_TYPE: &str = "application/problem+json";

/// What an HTTP client is told of an [`Error`]: status, `Retry-After` and problem details (RFC 9457).
///
/// | error | status | `Retry-After` |
/// | --- | --- | --- |
/// | [`Busy`](Error::Busy), [`Missed`](Error::Missed) | 409 Conflict | [`Error::retry_after`] |
/// | [`Backend`](Error::Backend), [`Inspection`](Error::Inspection), [`Connect`](Error::Connect), [`Closed`](Error::Closed), [`Unreleased`](Error::Unreleased) | 503 Service Unavailable | [`Error::retry_after`], or 1 s |
/// | [`Lost`](Error::Lost) | 500 Internal Server Error: the work may have been done in part | |
/// | [`InvalidKey`](Error::InvalidKey) | 400 Bad Request | |
/// | all others | 500 Internal Server Error | |
///
/// Nothing in it names the key, the holder or the lock service. An [`Error`] that is itself the answer is
/// traced with all of that.
///
/// # Examples
///
/// As an [`Error`] answers by itself, but 423 (Locked) for a busy lock:
///
/// ```
/// use lockattr::{Error, Problem};
///
/// fn problem(error: &Error) -> Problem {
///     let problem = Problem::new(error);
///     if error.is_busy() { problem.with_status(423) } else { problem }
/// }
/// # assert_eq!(problem(&Error::Closed).status(), 503);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "it is only the content of an answer"]
pub struct Problem {
    status: u16,
    kind: Cow<'static, str>,
    title: Cow<'static, str>,
    detail: Cow<'static, str>,
    retry_after: Option<Duration>,
}

impl Problem {
    /// Describes the error.
    ///
    /// # Examples
    ///
    /// ```
    /// use lockattr::{Error, Problem};
    ///
    /// let problem = Problem::new(&Error::Closed);
    /// assert_eq!(problem.status(), 503);
    /// ```
    pub fn new(error: &Error) -> Self {
        Self::of(Cause::of(error), error)
    }

    /// Describes an error that nobody else sees: it is traced.
    pub(super) fn traced(error: &Error) -> Self {
        Self::of(Cause::traced(error), error)
    }

    fn of(cause: Cause, error: &Error) -> Self {
        let (status, title) = match cause {
            Cause::Busy => (409, "Conflict"),
            Cause::Unavailable => (503, "Service Unavailable"),
            Cause::InvalidKey => (400, "Bad Request"),
            Cause::Lost | Cause::Internal => (500, "Internal Server Error"),
        };
        let soon = (cause == Cause::Unavailable).then_some(Duration::from_secs(1));
        Self {
            status,
            // The type that stands for the status alone, whose title is the status' phrase.
            kind: "about:blank".into(),
            title: title.into(),
            detail: cause.detail().into(),
            retry_after: error.retry_after().or(soon),
        }
    }

    /// Answers with this status.
    ///
    /// # Panics
    ///
    /// When it is not between 400 and 599.
    ///
    /// # Examples
    ///
    /// ```
    /// use lockattr::{Error, Problem};
    ///
    /// let problem = Problem::new(&Error::Closed).with_status(500);
    /// assert_eq!(problem.status(), 500);
    /// ```
    pub fn with_status(mut self, status: u16) -> Self {
        assert!(
            (400..600).contains(&status),
            "{status} is no status of an error; use one between 400 and 599"
        );
        self.status = status;
        self
    }

    /// Names the kind of problem by a URI, with a title that is the same for all problems of the kind.
    ///
    /// # Examples
    ///
    /// ```
    /// use lockattr::{Error, Problem};
    ///
    /// let problem = Problem::new(&Error::Closed).with_type("https://shop.example/problems/away", "Away");
    /// assert!(problem.to_json().contains("problems/away"));
    /// ```
    pub fn with_type(
        mut self,
        uri: impl Into<Cow<'static, str>>,
        title: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.kind = uri.into();
        self.title = title.into();
        self
    }

    /// Explains what happened in this text.
    ///
    /// # Examples
    ///
    /// ```
    /// use lockattr::{Error, Problem};
    ///
    /// let problem = Problem::new(&Error::Closed).with_detail("come back in a minute");
    /// assert!(problem.to_json().contains("come back in a minute"));
    /// ```
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Tells the client when to try again, in whole seconds; `None` sends no `Retry-After`.
    ///
    /// # Examples
    ///
    /// ```
    /// use lockattr::{Error, Problem};
    /// use std::time::Duration;
    ///
    /// let problem = Problem::new(&Error::Closed).with_retry_after(Some(Duration::from_secs(60)));
    /// assert_eq!(problem.retry_after(), Some(Duration::from_secs(60)));
    /// ```
    pub fn with_retry_after(mut self, after: Option<Duration>) -> Self {
        self.retry_after = after;
        self
    }

    /// Returns the status of the answer.
    ///
    /// # Examples
    ///
    /// ```
    /// use lockattr::{Error, Problem};
    ///
    /// let problem = Problem::new(&Error::Closed);
    /// assert_eq!(problem.status(), 503);
    /// ```
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns when the client may try again.
    ///
    /// # Examples
    ///
    /// ```
    /// use lockattr::{Error, Problem};
    /// use std::time::Duration;
    ///
    /// let problem = Problem::new(&Error::Closed);
    /// assert_eq!(problem.retry_after(), Some(Duration::from_secs(1)));
    /// ```
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Returns the problem details, whose media type is `application/problem+json`.
    ///
    /// # Examples
    ///
    /// ```
    /// let problem = lockattr::Problem::new(&lockattr::Error::Closed);
    /// let json = problem.to_json();
    /// assert!(json.contains(r#""status":503"#) && json.contains(r#""title":"Service Unavailable""#));
    /// ```
    pub fn to_json(&self) -> String {
        json!({
            "type": self.kind,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        })
        .to_string()
    }

    /// Returns the value of `Retry-After`: whole seconds, rounded up.
    pub(super) fn retry_after_seconds(&self) -> Option<u64> {
        let after = self.retry_after?;
        Some(after.as_secs() + u64::from(after.subsec_nanos() > 0))
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::new(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BackendError, BackendErrorKind, LossReason};

    /// All that a client must not see is in these errors.
    fn errors() -> Vec<(Error, u16, Option<u64>)> {
        let secret = || "secret".into();
        let backend = || BackendError::new(BackendErrorKind::Timeout, "secret");
        vec![
            (
                Error::Busy {
                    key: secret(),
                    waited: Duration::ZERO,
                    retry_after: Some(Duration::from_millis(2100)),
                    holder: Some(secret()),
                },
                409,
                Some(3),
            ),
            (
                Error::Missed {
                    key: secret(),
                    waited: Duration::ZERO,
                },
                409,
                Some(1),
            ),
            (
                Error::Backend {
                    key: secret(),
                    source: backend(),
                },
                503,
                Some(1),
            ),
            (
                Error::Connect {
                    place: secret(),
                    source: backend(),
                },
                503,
                Some(1),
            ),
            (Error::Closed, 503, Some(1)),
            (
                Error::Lost {
                    key: secret(),
                    fencing_token: 7,
                    reason: LossReason::Gone,
                },
                500,
                None,
            ),
            (
                Error::InvalidKey {
                    key: secret(),
                    reason: "secret",
                },
                400,
                None,
            ),
            (Error::config("secret", "secret"), 500, None),
            (Error::Reentrant { key: secret() }, 500, None),
        ]
    }

    #[test]
    fn each_error_has_its_status_and_tells_nothing_else() {
        for (error, status, retry_after) in errors() {
            let problem = Problem::new(&error);
            assert_eq!(problem.status(), status, "{error}");
            assert_eq!(problem.retry_after_seconds(), retry_after, "{error}");
            let json: serde_json::Value = serde_json::from_str(&problem.to_json()).unwrap();
            assert_eq!(json["status"], status, "{error}");
            assert!(!json.to_string().contains("secret"), "{json}");
        }
    }

    #[test]
    fn all_of_it_can_be_changed() {
        let problem = Problem::from(Error::Closed)
            .with_status(423)
            .with_type("https://shop.example/busy", "Busy")
            .with_detail("a \"quoted\" text")
            .with_retry_after(Some(Duration::from_millis(1)));
        let json: serde_json::Value = serde_json::from_str(&problem.to_json()).unwrap();
        let expected = json!({
            "type": "https://shop.example/busy",
            "title": "Busy",
            "status": 423,
            "detail": "a \"quoted\" text",
        });
        assert_eq!(json, expected);
        assert_eq!(problem.retry_after_seconds(), Some(1));
        assert_eq!(problem.with_retry_after(None).retry_after_seconds(), None);
    }

    #[test]
    #[should_panic(expected = "200 is no status of an error")]
    fn a_success_is_no_problem() {
        let _ = Problem::from(Error::Closed).with_status(200);
    }
}
