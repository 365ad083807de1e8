//! Servers and proxies that send no messages of their own accord.
//!
//! A waiter is told of its lease by a message, which takes HELLO 3 and SUBSCRIBE. Without them a pool
//! polls. What does not know HELLO is mostly a proxy, so nothing is sent there that a proxy may not pass
//! on: scripts alone, each with the names of one key, by the first of which the proxy chooses the server.

use redis::aio::MultiplexedConnection;
use redis::{RedisError, Value};

use super::failure;
use super::hello::Refusal;
use crate::backend::{BackendError, BackendErrorKind};

/// How much of the protocol a connection uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Voice {
    /// RESP2, and scripts alone.
    Scripts,
    /// RESP3 without a subscription.
    Unsubscribed,
    /// RESP3 and a subscription.
    Messages,
}

/// Why there are no messages.
#[derive(Debug, Clone)]
pub(super) struct Mute {
    /// How much there is without them.
    pub(super) voice: Voice,
    /// Whether the server has said so. Otherwise the connection was closed, perhaps by chance.
    pub(super) is_certain: bool,
    /// What the server answered, in a few words.
    pub(super) why: String,
    pub(super) refusal: Box<Refusal>,
}

/// Asks a server that has not said what it is whether it can do what the scripts need.
///
/// # Errors
///
/// For a server before Redis 6.2, a replica, and a user without the right to SET.
pub(super) async fn probe(
    connection: &mut MultiplexedConnection,
    name: &str,
) -> Result<(), Refusal> {
    // Nothing has this name, so XX writes nothing. A replica refuses it nevertheless.
    const SCRIPT: &str = "return redis.call('SET', KEYS[1], '', 'XX', 'KEEPTTL', 'GET')";
    let question = redis::cmd("EVAL").arg(SCRIPT).arg(1).arg(name).to_owned();
    let answer = connection.send_packed_command(&question).await;
    match answer.and_then(Value::extract_error) {
        Ok(_) => Ok(()),
        Err(error) => explain(&error),
    }
}

fn explain(error: &RedisError) -> Result<(), Refusal> {
    let text = error.to_string();
    if text.contains("syntax error") {
        let reason = "it is older than Redis 6.2: it does not know SET with KEEPTTL and GET";
        return Err(Refusal::Unfit {
            setting: "server",
            reason: reason.to_owned(),
        });
    }
    if text.contains("READONLY") {
        let said = "this server is a replica";
        return Err(BackendError::new(BackendErrorKind::Unavailable, said).into());
    }
    let failed = failure::classify(error);
    // Whether it lasts is seen by the calls.
    if failed.error.kind() == BackendErrorKind::Unavailable {
        return Ok(());
    }
    Err(failed.error.into())
}

/// What became of SUBSCRIBE: a server that does not know or not allow it may do without.
pub(super) fn not_subscribed(error: &RedisError, refusal: Refusal) -> Refusal {
    match &refusal {
        Refusal::Failed(failed) if failed.kind() != BackendErrorKind::Refused => refusal,
        _ if error.is_unrecoverable_error() => refusal,
        _ => Refusal::Mute(Mute {
            voice: Voice::Unsubscribed,
            is_certain: true,
            why: format!(
                "SUBSCRIBE was answered with: {}",
                BackendError::from(refusal.clone())
            ),
            refusal: Box::new(refusal),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::mpsc::unbounded_channel;

    use super::*;
    use crate::backend::redis::dial::Dialer;
    use crate::backend::redis::{RedisServer, RedisSettings, Report};

    /// Nothing is asked on the connection, and no message tells of its end.
    #[tokio::test]
    async fn a_connection_tells_of_its_end_whatever_its_voice() {
        let server = RedisServer::start();
        let dialer = Dialer::new(&RedisSettings::of(&server.url(), 1)).unwrap();
        for voice in [Voice::Scripts, Voice::Unsubscribed, Voice::Messages] {
            let (inbox, mut reports) = unbounded_channel();
            let dialer = Arc::new(dialer.with_voice(voice));
            let dialling = dialer.dial(3, 7, inbox, "channel".to_owned());
            let connection = dialling.await.unwrap_or_else(|_| panic!("{voice:?}"));
            let mut other = server.client.get_connection().unwrap();
            for kind in ["normal", "pubsub"] {
                redis::cmd("CLIENT")
                    .arg(&["KILL", "TYPE", kind])
                    .exec(&mut other)
                    .unwrap();
            }
            let report = reports.recv().await;
            let is_told = matches!(
                report,
                Some(Report::Disconnected {
                    link: 3,
                    generation: 7
                })
            );
            assert!(is_told, "{voice:?}");
            drop(connection);
        }
    }
}
