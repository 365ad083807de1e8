//! Getting a connection.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo, ProtocolVersion, PushInfo, PushKind, Value,
};
use tokio::sync::mpsc::UnboundedSender;

use super::{RedisSettings, Report, failure};
use crate::Error;
use crate::backend::{BackendError, BackendErrorKind};

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long to wait before dialling after so many failures: soon, since leases run out meanwhile.
pub(super) fn pause(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        failures => (FIRST_PAUSE * (1 << (failures - 1).min(16))).min(LONGEST_PAUSE),
    }
}

pub(super) struct Dialer {
    client: Client,
    connect_timeout: Duration,
}

impl Dialer {
    /// # Errors
    ///
    /// [`Error::Config`] for a URL that does not parse.
    pub(super) fn new(settings: &RedisSettings) -> Result<Self, Error> {
        let wrong = |error: &redis::RedisError| {
            Error::config("url", format!("{error}; see `LockPoolBuilder::url`"))
        };
        let info = settings
            .url
            .as_str()
            .into_connection_info()
            .map_err(|error| wrong(&error))?;
        // RESP3 tells of a lost connection without being asked.
        let redis = info
            .redis_settings()
            .clone()
            .set_protocol(ProtocolVersion::RESP3);
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let info = info.set_redis_settings(redis).set_tcp_settings(tcp);
        #[cfg(feature = "tls")]
        let client = settings.tls.client(info)?;
        #[cfg(not(feature = "tls"))]
        let client = Client::open(info).map_err(|error| wrong(&error))?;
        Ok(Self {
            client,
            connect_timeout: settings.connect_timeout,
        })
    }

    /// Connects to a server that takes writes. `inbox` hears of the end of the connection.
    pub(super) async fn dial(
        &self,
        link: usize,
        generation: u64,
        inbox: &UnboundedSender<Report>,
        channel: &str,
    ) -> Result<MultiplexedConnection, BackendError> {
        let inbox = inbox.clone();
        let config = AsyncConnectionConfig::new()
            // Both are kept here: the protocol knows how long to wait, and what an overdue answer
            // means.
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(1024)
            .set_push_sender(move |push: PushInfo| match push.kind {
                PushKind::Disconnection => inbox.send(Report::Disconnected { link, generation }),
                PushKind::Message => match <[Value; 2]>::try_from(push.data) {
                    Ok([_, message]) => inbox.send(Report::Message {
                        link,
                        generation,
                        message,
                    }),
                    Err(_) => Ok(()),
                },
                _ => Ok(()),
            });
        let connecting = async {
            let mut connection = self
                .client
                .get_multiplexed_async_connection_with_config(&config)
                .await?;
            let role = connection.send_packed_command(&redis::cmd("ROLE")).await;
            // Last, so that a connection that is used hears of its leases.
            connection.subscribe(channel).await?;
            Ok::<_, redis::RedisError>((connection, role))
        };
        match tokio::time::timeout(self.connect_timeout, connecting).await {
            Ok(Ok((connection, role))) if !is_replica(role.as_ref().ok()) => Ok(connection),
            Ok(Ok(_)) => Err(BackendError::new(
                BackendErrorKind::Unavailable,
                "this server is a replica",
            )),
            Ok(Err(error)) if error.is_connection_dropped() => Err(BackendError::new(
                BackendErrorKind::Unreachable,
                format!("{error}; if the server speaks TLS only, begin the URL with rediss://"),
            )),
            Ok(Err(error)) => Err(failure::classify(&error).error),
            Err(_) => Err(failure::no_connection(self.connect_timeout)),
        }
    }
}

/// A replica answers from what it last heard, and «held» from there proves nothing. Without the
/// right to ask, the server is taken for a master.
fn is_replica(role: Option<&Value>) -> bool {
    match role {
        Some(Value::Array(parts)) => match parts.first() {
            Some(Value::BulkString(role)) => role == b"slave",
            Some(Value::SimpleString(role)) => role == "slave",
            _ => false,
        },
        _ => false,
    }
}
