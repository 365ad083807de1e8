//! New connections.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use lockattr::backend::{BackendError, BackendErrorKind, Time};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::AbortHandle;
use tokio_postgres::AsyncMessage;

use crate::backend::Report;
use crate::batch::{Call, Ear};
use crate::clock::Clocks;
use crate::failure;
use crate::line::Line;
use crate::options::refused;
use crate::schema::quoted;
use crate::tls::Tls;
use crate::url::Url;

/// The least version of the server: older ones are out of support.
const LEAST_VERSION: i32 = 130_000;
/// The pauses between dials that fail.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Makes the connections of one link.
pub(crate) struct Dialer {
    pub(crate) url: Url,
    pub(crate) tls: Tls,
    pub(crate) is_pooled: bool,
    /// The channel to listen on.
    pub(crate) channel: Option<String>,
    /// How long it may take.
    pub(crate) within: Duration,
}

/// A connection that is ready for attempts. It ends with this value.
pub(crate) struct Session {
    pub(crate) line: Arc<Line>,
    pub(crate) call: Call,
    pub(crate) ear: Option<Ear>,
    pub(crate) clocks: Clocks,
    pub(crate) round_trip: Duration,
    traffic: AbortHandle,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.traffic.abort();
    }
}

impl Dialer {
    /// Connects, and reports what the server sends on its own as the given link and generation.
    ///
    /// # Errors
    ///
    /// When no server takes the connection in time, or it is none for locks.
    pub(crate) async fn dial(
        &self,
        (link, generation): (usize, u64),
        inbox: UnboundedSender<Report>,
    ) -> Result<Session, BackendError> {
        tokio::time::timeout(self.within, self.connect((link, generation), inbox))
            .await
            .unwrap_or_else(|_| {
                let text = format!("no connection within {:?}", self.within);
                Err(BackendError::new(BackendErrorKind::Timeout, text))
            })
    }

    async fn connect(
        &self,
        (link, generation): (usize, u64),
        inbox: UnboundedSender<Report>,
    ) -> Result<Session, BackendError> {
        let connected = self.tls.connect(&self.url, self.within).await;
        let (client, mut traffic) = connected?;
        let reading = tokio::spawn(async move {
            while let Some(Ok(message)) = traffic.next().await {
                if let AsyncMessage::Notification(said) = message {
                    let payload = said.payload().to_owned();
                    // No task reads it once the pool has ended.
                    drop(inbox.send(Report::Notified {
                        link,
                        generation,
                        payload,
                    }));
                }
            }
            drop(inbox.send(Report::Disconnected { link, generation }));
        });
        // From here on the connection ends with this value, also when this future is dropped.
        let mut session = Session {
            line: Arc::new(Line::new(client, self.is_pooled)),
            call: Call::Plain(String::new()),
            ear: None,
            clocks: Clocks::new(Time::now(), 0),
            round_trip: Duration::ZERO,
            traffic: reading.abort_handle(),
        };
        self.greet(&mut session).await?;
        Ok(session)
    }

    async fn greet(&self, session: &mut Session) -> Result<(), BackendError> {
        let client = &session.line.client;
        let ask = format!(
            "select {}.micros(clock_timestamp()), current_setting('server_encoding'), \
             current_setting('server_version_num')::int, current_setting('transaction_isolation')",
            quoted(&self.url.schema)
        );
        let sent_at = Time::now();
        let said = client.query_typed_one(&ask, &[]).await;
        let said = said.map_err(|error| failure::of(&error))?;
        session.round_trip = Time::now().since(sent_at);
        let nonsense = |error: tokio_postgres::Error| failure::malformed(&error.to_string());
        session.clocks = Clocks::new(sent_at, said.try_get(0).map_err(nonsense)?);
        let encoding: &str = said.try_get(1).map_err(nonsense)?;
        let version: i32 = said.try_get(2).map_err(nonsense)?;
        let isolation: &str = said.try_get(3).map_err(nonsense)?;
        if encoding != "UTF8" {
            return Err(refused(format!(
                "the encoding of the database is {encoding}, which has not all characters of keys; use one in UTF8"
            )));
        }
        if version < LEAST_VERSION {
            return Err(refused(format!(
                "the server is PostgreSQL {}; the locks need 13 or later",
                version / 10_000
            )));
        }
        if isolation != "read committed" {
            return Err(refused(format!(
                "transactions of this user are {isolation}, and the locks need to see what was committed meanwhile: \
                 alter role … set default_transaction_isolation = 'read committed'"
            )));
        }
        let called = Call::new(client, &self.url.schema, self.is_pooled).await;
        session.call = called.map_err(|error| failure::of(&error))?;
        if let Some(channel) = &self.channel {
            let ear = Ear {
                channel: channel.clone(),
                live: fastrand::i64(..),
            };
            // Held as long as the session lives, so that others see that it does.
            let listen = format!(
                "listen \"{channel}\"; select pg_advisory_lock({})",
                ear.live
            );
            let listening = client.batch_execute(&listen).await;
            listening.map_err(|error| failure::of(&error))?;
            session.ear = Some(ear);
        }
        Ok(())
    }
}

/// Returns the pause before the next dial, after so many that failed.
pub(crate) fn pause(failures: u32) -> Duration {
    let Some(round) = failures.checked_sub(1) else {
        return Duration::ZERO;
    };
    let longest = FIRST_PAUSE
        .saturating_mul(1 << round.min(10))
        .min(LONGEST_PAUSE);
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}
