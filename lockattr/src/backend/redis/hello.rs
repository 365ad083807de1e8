//! What the server says of itself in its answer to HELLO, for which no right is needed.

use std::fmt;

use redis::{ErrorKind, RedisConnectionInfo, RedisError, Value};

use super::failure;
use super::stream::Address;
use super::voice::{Mute, Voice};
use crate::Error;
use crate::backend::{BackendError, BackendErrorKind};

/// Why there is no connection.
#[derive(Debug, Clone)]
pub(super) enum Refusal {
    /// The server cannot do what locks need, however often it is asked.
    Unfit {
        setting: &'static str,
        reason: String,
    },
    Failed(BackendError),
    /// It is a node of a cluster, and the URL did not say so.
    IsNode,
    /// It sends no messages, but may do without.
    Mute(Mute),
}

impl Refusal {
    fn server(reason: impl Into<String>) -> Self {
        Self::Unfit {
            setting: "server",
            reason: reason.into(),
        }
    }

    /// Says which server it is about, where the URL does not.
    pub(super) fn at_master(self, master: &Address) -> Self {
        let said = |text: &dyn fmt::Display| format!("the master at {master}: {text}");
        match self {
            Self::Unfit { setting, reason } => Self::Unfit {
                setting,
                reason: said(&reason),
            },
            Self::Failed(error) => Self::Failed(BackendError::new(error.kind(), said(&error))),
            Self::IsNode => Self::Unfit {
                setting: "url",
                reason: said(&IS_NODE),
            },
            Self::Mute(mute) => Self::Mute(Mute {
                refusal: Box::new(mute.refusal.at_master(master)),
                ..mute
            }),
        }
    }

    /// Adds why it is of no use without messages either.
    pub(super) fn and_without(self, other: Self) -> Self {
        let other = BackendError::from(other);
        match self {
            Self::Unfit { setting, reason } => Self::Unfit {
                setting,
                reason: format!("{reason}; and without it: {other}"),
            },
            Self::Failed(error) => {
                let said = format!("{error}; and without it: {other}");
                BackendError::new(error.kind(), said).into()
            }
            Self::Mute(mute) => mute.refusal.and_without(other.into()),
            Self::IsNode => Self::IsNode,
        }
    }

    /// What is said at start-up.
    pub(super) fn at_startup(self, place: &str) -> Error {
        match self {
            Self::Unfit { setting, reason } => Error::config(setting, reason),
            Self::Failed(source) => Error::Connect {
                place: place.into(),
                source,
            },
            Self::IsNode => Error::config("url", IS_NODE),
            Self::Mute(mute) => mute.refusal.at_startup(place),
        }
    }
}

impl From<BackendError> for Refusal {
    fn from(error: BackendError) -> Self {
        Self::Failed(error)
    }
}

impl From<RedisError> for Refusal {
    fn from(error: RedisError) -> Self {
        Self::Failed(failure::classify(&error).error)
    }
}

impl From<Refusal> for BackendError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unfit { reason, .. } => Self::new(BackendErrorKind::Refused, reason),
            Refusal::Failed(error) => error,
            Refusal::IsNode => Self::new(BackendErrorKind::Refused, IS_NODE),
            Refusal::Mute(mute) => (*mute.refusal).into(),
        }
    }
}

const IS_NODE: &str =
    "the server there is a node of a Redis Cluster; write redis+cluster://host:port/";

/// What is needed, in the words of all errors.
const NEEDS: &str = "locks need the scripts (EVAL) of Redis 6.2 or later, or of Valkey";

/// What became of the first HELLO, by which the client logs in.
pub(super) fn explain(error: &RedisError, login: &RedisConnectionInfo) -> Refusal {
    let text = without_secrets(&error.to_string(), login);
    let is_unknown = error.kind() == ErrorKind::RESP3NotSupported
        || error.code() == Some("NOPROTO")
        || failure::lacks_command(error)
        || text.to_ascii_lowercase().contains("unsupported");
    if is_unknown {
        let said = format!("{NEEDS}; HELLO was answered with: {text}");
        let why = format!("HELLO was answered with: {text}");
        return mute(Some(why), Refusal::server(said));
    }
    if error.is_connection_dropped() {
        let said = format!(
            "{text}, in answer to HELLO: {NEEDS}; if the server speaks TLS only, begin the URL with \
             rediss://"
        );
        let kind = failure::classify(error).error.kind();
        return mute(None, BackendError::new(kind, said).into());
    }
    let failed = failure::classify(error).error;
    let kind = failed.kind();
    if kind == BackendErrorKind::Malformed {
        let said = format!("what answers there does not speak Redis' protocol: {text}; {NEEDS}");
        return BackendError::new(kind, said).into();
    }
    BackendError::new(kind, without_secrets(&failed.to_string(), login)).into()
}

/// `why` is what the server has answered, if it has.
fn mute(why: Option<String>, refusal: Refusal) -> Refusal {
    Refusal::Mute(Mute {
        voice: Voice::Scripts,
        is_certain: why.is_some(),
        why: why.unwrap_or_else(|| "HELLO makes it close the connection".to_owned()),
        refusal: Box::new(refusal),
    })
}

/// A proxy may repeat the password in any way.
fn without_secrets(text: &str, login: &RedisConnectionInfo) -> String {
    let said = failure::without_args(text);
    match login.password().filter(|password| !password.is_empty()) {
        Some(password) => said.replace(password, "…"),
        None => said.to_owned(),
    }
}

/// Whether locks can be kept on a server that answers so.
///
/// # Errors
///
/// For a replica, which answers from what it last heard, so that its word proves nothing,
/// and for servers of other kinds.
pub(super) fn check(answer: &Value, is_node: bool) -> Result<(), Refusal> {
    match field(answer, "mode") {
        Some("cluster") if is_node => {}
        Some("cluster") => return Err(Refusal::IsNode),
        Some("standalone") if is_node => {
            let reason = "the server there is not a node of a Redis Cluster; write redis:// instead of \
                          redis+cluster://";
            return Err(Refusal::Unfit {
                setting: "url",
                reason: reason.to_owned(),
            });
        }
        Some("sentinel") => {
            return Err(Refusal::Unfit {
                setting: "url",
                reason: "the server there is a Sentinel, which keeps no locks; write \
                         redis+sentinel://host:26379/master-name"
                    .to_owned(),
            });
        }
        _ => {}
    }
    match field(answer, "role") {
        Some("replica" | "slave") => {
            let said = "this server is a replica";
            Err(BackendError::new(BackendErrorKind::Unavailable, said).into())
        }
        _ => Ok(()),
    }
}

pub(super) fn field<'a>(answer: &'a Value, name: &str) -> Option<&'a str> {
    let Value::Map(fields) = answer else {
        return None;
    };
    let (_, value) = fields.iter().find(|(key, _)| text(key) == Some(name))?;
    text(value)
}

pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(text) => std::str::from_utf8(text).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(fields: &[(&str, &str)]) -> Value {
        let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let pairs = fields.iter().map(|(name, value)| (bulk(name), bulk(value)));
        Value::Map(pairs.collect())
    }

    #[test]
    fn what_a_server_repeats_of_the_password_is_not_shown() {
        let login = RedisConnectionInfo::default()
            .set_username("u")
            .set_password("s3cret");
        for text in [
            "ResponseError: unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'u' 's3cret'",
            "unsupported: HELLO 3 AUTH u s3cret",
        ] {
            let shown = without_secrets(text, &login);
            assert!(
                shown.contains("HELLO") && !shown.contains("s3cret"),
                "{shown}"
            );
        }
    }

    #[test]
    fn only_a_master_of_the_right_kind_will_do() {
        let standalone = |role| answer(&[("mode", "standalone"), ("role", role)]);
        check(&standalone("master"), false).unwrap();
        let Err(Refusal::Failed(error)) = check(&standalone("replica"), false) else {
            panic!("a replica is refused");
        };
        assert!(error.to_string().contains("replica"));
        let of = |mode| answer(&[("mode", mode), ("role", "master")]);
        let refused = check(&of("sentinel"), false);
        assert!(matches!(
            refused,
            Err(Refusal::Unfit { setting: "url", .. })
        ));
        assert!(matches!(check(&of("cluster"), false), Err(Refusal::IsNode)));
        check(&of("cluster"), true).unwrap();
        let refused = check(&standalone("master"), true);
        assert!(matches!(
            refused,
            Err(Refusal::Unfit { setting: "url", .. })
        ));
        // A server that does not say is taken for a master.
        check(&Value::Okay, false).unwrap();
    }
}
