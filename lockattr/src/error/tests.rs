//! What an error says, and which kinds there are.

use super::*;

/// One error of each variant, and parts that its text must contain.
fn all() -> Vec<(Error, &'static [&'static str])> {
    let key: Arc<str> = "order:42".into();
    let source = BackendError::new(BackendErrorKind::Timeout, "no answer within 500ms");
    vec![
        (
            Error::Busy {
                key: key.clone(),
                waited: Duration::from_secs(7),
                retry_after: None,
                holder: None,
            },
            &["order:42", "7s", "try again later"],
        ),
        (
            Error::OtherMode {
                key: key.clone(),
                held: Mode::Shared,
                asked: Mode::Permits {
                    permits: 3,
                    weight: 1,
                },
            },
            &["order:42", "`shared`", "`permits = 3`", "same option"],
        ),
        (
            Error::Lost {
                key: key.clone(),
                fencing_token: 77,
                reason: LossReason::Gone,
            },
            &["order:42", "77", "the server no longer had it"],
        ),
        (
            Error::Reentrant { key: key.clone() },
            &["order:42", "`reentrant = true`"],
        ),
        (
            Error::InvalidKey {
                key: key.clone(),
                reason: "it is empty",
            },
            &["order:42", "it is empty"],
        ),
        (
            Error::NotConfigured { pool: None },
            &["no pool", ".install()"],
        ),
        (
            Error::AlreadyInstalled {
                pool: Some("reports".into()),
            },
            &["named `reports`", "`shutdown()`"],
        ),
        (
            Error::config("ttl", "1ms is too short"),
            &["`ttl`", "1ms is too short"],
        ),
        (
            Error::system("a thread", &"Resource temporarily unavailable"),
            &["a thread", "Resource temporarily", "raise the limits"],
        ),
        (
            Error::Forked { parent: 4711 },
            &["process 4711", "after the fork"],
        ),
        (
            Error::Backend {
                key,
                source: source.clone(),
            },
            &["order:42", "no answer within 500ms"],
        ),
        (
            Error::Inspection {
                key: "order:".into(),
                source: source.clone(),
            },
            &["`order:`", "no answer within 500ms"],
        ),
        (
            Error::Connect {
                place: "redis://shop".into(),
                source,
            },
            &["redis://shop", "no answer within 500ms", "check the URL"],
        ),
        (Error::Closed, &["shut down", "build a new pool"]),
        (
            Error::Unreleased { leases: 3 },
            &["3 leases", "within their ttl"],
        ),
    ]
}

#[derive(Debug, thiserror::Error)]
#[error("the order was not paid")]
struct Wrapped(#[from] Error);

#[test]
fn a_report_says_each_thing_once() {
    for (error, parts) in all() {
        let text = error.to_string();
        let plain = format!("{:#}", anyhow::Error::from(error.clone()));
        assert_eq!(plain, text, "the chain ends with the error itself");
        let wrapped = format!("{:#}", anyhow::Error::from(Wrapped::from(error)));
        assert_eq!(wrapped, format!("the order was not paid: {text}"));
        for part in parts {
            assert_eq!(text.matches(part).count(), 1, "{part:?} in {text:?}");
        }
    }
}
