//! Getting a connection.

mod uptime;
mod visit;

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{MultiplexedConnection, SendError};
use redis::{
    AsyncConnectionConfig, ProtocolVersion, PushInfo, PushKind, RedisConnectionInfo, RedisError,
    Value,
};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::confirm::{self, Copies};
use super::connection::Connection;
use super::hello::{self, Refusal};
use super::names::Names;
use super::scripts::{Call, Caller};
use super::sentinel::{self, Following, Sentinels};
use super::stream::{Address, Way};
#[cfg(feature = "tls")]
use super::tls::TlsSettings;
use super::url::{self, Target};
use super::voice::{self, Voice};
use super::{RedisSettings, Report, failure};
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
#[derive(Clone)]
enum Route {
    Known(Way),
    Sentinels(Arc<Sentinels>),
}

#[derive(Clone)]
pub(super) struct Dialer {
    route: Route,
    login: RedisConnectionInfo,
    prefix: String,
    connect_timeout: Duration,
    /// Whether the server is to be a node of a cluster.
    is_node: bool,
    voice: Voice,
    /// The copies that are waited for on the connection.
    copies: Option<Copies>,
    /// How long after its start the server is not used.
    restart_delay: Duration,
    #[cfg(feature = "tls")]
    tls: TlsSettings,
}

impl Dialer {
    /// # Errors
    ///
    /// [`Error::Config`] for a URL or certificates that do not parse.
    pub(super) fn new(settings: &RedisSettings) -> Result<Self, Error> {
        if sentinel::is_meant_by(&settings.url) {
            let (sentinels, login) = Sentinels::new(settings)?;
            let route = Route::Sentinels(Arc::new(sentinels));
            return Ok(Self::by(settings, route, login));
        }
        Self::to(settings, url::parse(&settings.url)?)
    }

    /// # Errors
    ///
    /// [`Error::Config`] for certificates that do not parse.
    #[cfg_attr(
        not(feature = "tls"),
        expect(clippy::unnecessary_wraps, reason = "as with the feature")
    )]
    pub(super) fn to(settings: &RedisSettings, target: Target) -> Result<Self, Error> {
        let way = Way {
            #[cfg(feature = "tls")]
            tls: settings.options.tls.connector(&target.address)?,
            address: target.address,
        };
        Ok(Self::by(settings, Route::Known(way), target.login))
    }

    fn by(settings: &RedisSettings, route: Route, login: RedisConnectionInfo) -> Self {
        Self {
            route,
            login,
            prefix: settings.options.prefix.clone(),
            connect_timeout: settings.connect_timeout,
            is_node: false,
            voice: Voice::Messages,
            copies: None,
            restart_delay: Duration::ZERO,
            #[cfg(feature = "tls")]
            tls: settings.options.tls.clone(),
        }
    }

    /// The server, if it is the one that the URL names.
    pub(super) fn address(&self) -> Option<&Address> {
        match &self.route {
            Route::Known(way) => Some(&way.address),
            Route::Sentinels(_) => None,
        }
    }

    /// The same for a node of a cluster.
    pub(super) fn at(&self, node: Address) -> Self {
        Self {
            route: Route::Known(Way {
                // What is wrong with the certificates was found with the first node; a name that no
                // certificate can be for is told by the handshake that has no connector.
                #[cfg(feature = "tls")]
                tls: self.tls.connector(&node).ok().flatten(),
                address: node,
            }),
            is_node: true,
            ..self.clone()
        }
    }

    pub(super) fn voice(&self) -> Voice {
        self.voice
    }

    /// The same for a server of which less can be asked.
    pub(super) fn with_voice(&self, voice: Voice) -> Self {
        let protocol = match voice {
            Voice::Scripts => ProtocolVersion::RESP2,
            Voice::Unsubscribed | Voice::Messages => ProtocolVersion::RESP3,
        };
        Self {
            voice,
            login: self.login.clone().set_protocol(protocol),
            ..self.clone()
        }
    }

    /// The same for a connection on which these copies are waited for.
    pub(super) fn confirming(&self, copies: Copies) -> Self {
        Self {
            copies: Some(copies),
            ..self.clone()
        }
    }

    /// The same for a server that is not used so long after its start.
    pub(super) fn after(self, restart_delay: Duration) -> Self {
        Self {
            restart_delay,
            ..self
        }
    }

    pub(super) fn copies(&self) -> Option<Copies> {
        self.copies
    }

    /// Starts to listen to the sentinels, if it goes by them.
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
        let mut config = AsyncConnectionConfig::new()
            // Kept here: the protocol knows how long to wait, and what an overdue answer means.
            .set_response_timeout(None)
            .set_pipeline_buffer_size(1024);
        let lost = inbox.clone();
        if self.voice > Voice::Scripts {
            config = config.set_push_sender(move |push: PushInfo| {
                let (PushKind::Message, Ok([_, message])) =
                    (push.kind, <[Value; 2]>::try_from(push.data))
                else {
                    return Ok(());
                };
                let report = Report::Message {
                    link,
                    generation,
                    message,
                };
                inbox.send(report).map_err(|_| SendError)
            });
        }
        let opening = self.open(way, config, move || {
            // Nobody listens when the pool has ended meanwhile.
            drop(lost.send(Report::Disconnected { link, generation }));
        });
        let (shared, driver) = opening.await?;
        let names = Names::new(self.prefix.clone());
        let mut connection = Connection::new(shared, generation, &driver);
        self.greet(&mut connection, &names, channel).await?;
        let caller = Caller {
            names: &names,
            channel,
            is_node: self.is_node,
            voice: self.voice,
        };
        // No attempts. By its text, so that the server learns the script, and then by its hash: what
        // is missing for either is told now.
        for _ in 0..2 {
            let nothing = Call::new(&caller, &mut [], 0, &mut connection.known);
            let (answer, took) = timed(nothing.invoke(&mut connection.shared, false)).await;
            answer.map_err(|error| explain(&error))?;
            connection.round_trip = took.min(connection.round_trip);
        }
        if !self.restart_delay.is_zero() {
            uptime::check(&mut connection.shared, self.restart_delay).await?;
        }
        if let Some(copies) = self.copies {
            confirm::probe(&mut connection.shared, copies).await?;
        }
        connection.hears();
        Ok(connection)
    }

    /// Asks the server what it is, and for its messages.
    async fn greet(
        &self,
        connection: &mut Connection,
        names: &Names,
        channel: &str,
    ) -> Result<(), Refusal> {
        if self.voice == Voice::Scripts {
            return voice::probe(&mut connection.shared, &names.probe(0)).await;
        }
        // Once more, because the client library keeps the answer to the first one to itself.
        let greeting = redis::cmd("HELLO").arg(3).to_owned();
        let (greeting, took) = timed(connection.shared.send_packed_command(&greeting)).await;
        hello::check(&greeting?, self.is_node)?;
        connection.round_trip = took;
        if self.voice == Voice::Messages {
            let channel = format!("{}{channel}", names.channels());
            let (subscribed, took) = timed(connection.shared.subscribe(channel)).await;
            subscribed.map_err(|error| voice::not_subscribed(&error, explain(&error)))?;
            connection.round_trip = took.min(connection.round_trip);
        }
        Ok(())
    }
}

impl Dialer {
    /// Logs in. `at_end` runs when the connection ends, unless its task is aborted.
    async fn open(
        &self,
        way: &Way,
        config: AsyncConnectionConfig,
        at_end: impl FnOnce() + Send + 'static,
    ) -> Result<(MultiplexedConnection, JoinHandle<()>), Refusal> {
        let stream = way.open().await?;
        let (shared, driver) = MultiplexedConnection::new_with_config(&self.login, stream, config)
            .await
            .map_err(|error| hello::explain(&error, &self.login))?;
        let driver = tokio::spawn(async move {
            driver.await;
            at_end();
        });
        Ok((shared, driver))
    }

    #[cfg(test)]
    pub(super) fn nowhere() -> Self {
        Self::new(&RedisSettings::of("redis://localhost/", 1)).unwrap()
    }
}

async fn timed<T>(asking: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    let answer = asking.await;
    (answer, start.elapsed())
}

/// A command that is renamed, or that a proxy does not pass on.
fn explain(error: &RedisError) -> Refusal {
    if failure::lacks_command(error) {
        let text = error.to_string();
        let text = failure::without_args(&text);
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
