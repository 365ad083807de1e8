//! Getting a connection.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{MultiplexedConnection, SendError};
use redis::{
    AsyncConnectionConfig, ErrorKind, PushInfo, PushKind, RedisConnectionInfo, RedisError,
    ServerErrorKind, Value,
};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::hello::{self, Refusal};
use super::link::Connection;
use super::names::Names;
use super::scripts::{Call, Caller};
use super::sentinel::{self, Following, Sentinels};
use super::stream::Way;
use super::{RedisSettings, Report, failure, url};
use crate::Error;
use crate::timing;

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long to wait before dialling after so many failures: soon, since leases run out meanwhile,
/// and jittered, so that a fleet does not come back in step.
pub(super) fn pause(failures: u32) -> Duration {
    match failures.checked_sub(1) {
        None => Duration::ZERO,
        Some(round) => {
            timing::backoff(round, FIRST_PAUSE, LONGEST_PAUSE, &mut fastrand::Rng::new())
        }
    }
}

/// How the server is found.
enum Route {
    Known(Way),
    Sentinels(Arc<Sentinels>),
}

pub(super) struct Dialer {
    route: Route,
    login: RedisConnectionInfo,
    names: Names,
    connect_timeout: Duration,
}

impl Dialer {
    /// # Errors
    ///
    /// [`Error::Config`] for a URL or certificates that do not parse.
    pub(super) fn new(settings: &RedisSettings) -> Result<Self, Error> {
        let (route, login) = if sentinel::is_meant_by(&settings.url) {
            let (sentinels, login) = Sentinels::new(settings)?;
            (Route::Sentinels(Arc::new(sentinels)), login)
        } else {
            let target = url::parse(&settings.url)?;
            let way = Way {
                #[cfg(feature = "tls")]
                tls: settings.options.tls.connector(&target.address)?,
                address: target.address,
            };
            (Route::Known(way), target.login)
        };
        Ok(Self {
            route,
            login,
            names: Names::new(settings.options.prefix.clone()),
            connect_timeout: settings.connect_timeout,
        })
    }

    /// Starts to listen to those who know where the server is.
    pub(super) fn follow(&self, inbox: &UnboundedSender<Report>) -> Following {
        Following::new(match &self.route {
            Route::Known(_) => JoinSet::new(),
            Route::Sentinels(sentinels) => sentinels.watch(inbox),
        })
    }

    /// Why there was no connection in time.
    pub(super) fn no_connection(&self) -> Refusal {
        match &self.route {
            Route::Known(_) => failure::no_connection(self.connect_timeout).into(),
            Route::Sentinels(sentinels) => sentinels.no_connection(self.connect_timeout),
        }
    }

    /// Connects to a server that takes writes. `inbox` hears of the end of the connection.
    pub(super) async fn dial(
        self: Arc<Self>,
        link: usize,
        generation: u64,
        inbox: UnboundedSender<Report>,
        channel: String,
    ) -> Result<Connection, Refusal> {
        let dialling = async {
            match &self.route {
                Route::Known(way) => self.connect(way, link, generation, inbox, &channel).await,
                Route::Sentinels(sentinels) => {
                    let way = sentinels.way_to_master().await?;
                    let connecting = self.connect(&way, link, generation, inbox, &channel);
                    let connected = connecting.await;
                    let mut connection =
                        connected.map_err(|refusal| refusal.at_master(&way.address))?;
                    connection.server = Some(way.address);
                    Ok(connection)
                }
            }
        };
        tokio::time::timeout(self.connect_timeout, dialling)
            .await
            .unwrap_or_else(|_| Err(self.no_connection()))
    }

    async fn connect(
        &self,
        way: &Way,
        link: usize,
        generation: u64,
        inbox: UnboundedSender<Report>,
        channel: &str,
    ) -> Result<Connection, Refusal> {
        let config = AsyncConnectionConfig::new()
            // Kept here: the protocol knows how long to wait, and what an overdue answer means.
            .set_response_timeout(None)
            .set_pipeline_buffer_size(1024)
            .set_push_sender(move |push: PushInfo| {
                let report = match push.kind {
                    PushKind::Disconnection => Report::Disconnected { link, generation },
                    PushKind::Message => match <[Value; 2]>::try_from(push.data) {
                        Ok([_, message]) => Report::Message {
                            link,
                            generation,
                            message,
                        },
                        Err(_) => return Ok(()),
                    },
                    _ => return Ok(()),
                };
                inbox.send(report).map_err(|_| SendError)
            });
        let stream = way.open().await?;
        let (shared, driver) = MultiplexedConnection::new_with_config(&self.login, stream, config)
            .await
            .map_err(|error| hello::explain(&error, &self.login))?;
        let driver = tokio::spawn(driver);
        let mut connection = Connection::new(shared, generation, &driver);
        // Once more, because the client library keeps the answer to the first one to itself.
        let greeting = redis::cmd("HELLO").arg(3).to_owned();
        let (greeting, took) = timed(connection.shared.send_packed_command(&greeting)).await;
        hello::check(&greeting?)?;
        connection.round_trip = took;
        let (subscribed, took) = timed(
            connection
                .shared
                .subscribe(format!("{}{channel}", self.names.channels())),
        )
        .await;
        subscribed.map_err(|error| explain(&error))?;
        connection.round_trip = took.min(connection.round_trip);
        let caller = Caller {
            names: &self.names,
            channel,
        };
        // No attempts. By its text, so that the server learns the script, and then by its hash: what
        // is missing for either is told now.
        for _ in 0..2 {
            let nothing = Call::new(&caller, &mut [], 0, &mut connection.known);
            let (answer, took) = timed(nothing.invoke(&mut connection.shared)).await;
            answer.map_err(|error| explain(&error))?;
            connection.round_trip = took.min(connection.round_trip);
        }
        connection.hears();
        Ok(connection)
    }
}

async fn timed<T>(asking: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    let answer = asking.await;
    (answer, start.elapsed())
}

/// A command that is renamed, or that a proxy does not pass on.
fn explain(error: &RedisError) -> Refusal {
    let text = error.to_string();
    let text = failure::without_args(&text);
    let is_unknown = text.to_ascii_lowercase().contains("unknown command");
    if is_unknown && error.kind() == ErrorKind::Server(ServerErrorKind::ResponseError) {
        return Refusal::Unfit {
            setting: "server",
            reason: format!("it lacks a command that locks need: {text}"),
        };
    }
    failure::classify(error).error.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_jittered_and_bounded() {
        assert_eq!(pause(0), Duration::ZERO);
        for failures in 1..100 {
            let pause = pause(failures);
            assert!(pause >= FIRST_PAUSE / 2 && pause <= LONGEST_PAUSE);
        }
        let some: std::collections::HashSet<_> = (0..20).map(|_| pause(20)).collect();
        assert!(some.len() > 1, "a fleet comes back in step");
    }
}
