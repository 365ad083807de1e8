//! Locks on one Redis server.
//!
//! Two things are special to it: an attempt whose connection fails after sending may have been
//! executed, and connections come and go. Each [`Link`] is one multiplexed connection that is
//! dialled anew when it breaks or falls silent; nothing is ever sent twice from here.

mod answers;
mod dial;
#[cfg(test)]
mod equivalence;
mod failure;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod names;
mod reply;
mod scripts;
mod settings_check;
#[cfg(feature = "tls")]
mod tls;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::{info, warn};

use super::{Attempt, AttemptId, Backend, BackendError, Event};
use crate::Error;
use crate::clock::Time;
use crate::owner::OwnerIds;
use dial::Dialer;
use names::Names;
use reply::Question;
use scripts::Call;
#[cfg(feature = "tls")]
pub(crate) use tls::{ClientIdentity, TlsSettings};

/// The script runs undisturbed, so a batch is bounded: 64 attempts keep the server for some 0.2 ms.
const LARGEST_BATCH: usize = 64;

pub(crate) struct RedisSettings {
    pub(crate) url: String,
    /// The URL as it may be shown.
    pub(crate) place: String,
    pub(crate) prefix: String,
    pub(crate) connections: usize,
    pub(crate) connect_timeout: Duration,
    pub(crate) strict: bool,
    #[cfg(feature = "tls")]
    pub(crate) tls: TlsSettings,
}

pub(crate) struct RedisBackend {
    dialer: Arc<Dialer>,
    names: Names,
    links: Vec<Link>,
    pool: Arc<str>,
    in_flight: HashMap<AttemptId, InFlight>,
    done: VecDeque<Event>,
    inbox: UnboundedSender<Report>,
    reports: UnboundedReceiver<Report>,
}

/// One connection, or the effort to get one.
struct Link {
    connection: Option<MultiplexedConnection>,
    /// Where those who wait by this connection are told of their leases.
    channel: String,
    /// Attempts to be sent with the next batch.
    outgoing: Vec<Attempt>,
    /// What our clock said when a batch was sent by this connection, and what the server's said
    /// when it ran: the second is not before the first.
    clocks: Option<(Time, u64)>,
    /// Counts the connections, so that reports about older ones are noticed.
    generation: u64,
    /// Dials that failed since the last connection.
    failures: u32,
    last_answer: Time,
    last_error: BackendError,
}

struct InFlight {
    link: usize,
    sent_at: Time,
}

/// What the tasks of this backend report.
enum Report {
    Answered {
        link: usize,
        generation: u64,
        sent_at: Time,
        questions: Vec<(AttemptId, Question)>,
        answer: RedisResult<Value>,
    },
    /// Something was published for those who wait by this connection.
    Message {
        link: usize,
        generation: u64,
        message: Value,
    },
    Dialled {
        link: usize,
        generation: u64,
        result: Result<MultiplexedConnection, BackendError>,
    },
    Disconnected {
        link: usize,
        generation: u64,
    },
}

impl RedisBackend {
    /// # Errors
    ///
    /// [`Error::Config`] for a URL that does not parse or a server that is refused under `strict`,
    /// [`Error::Connect`] when the server is not there within the connect timeout.
    pub(crate) async fn connect(settings: RedisSettings, owners: &OwnerIds) -> Result<Self, Error> {
        let dialer = Arc::new(Dialer::new(&settings)?);
        let failed = |source| Error::Connect {
            place: settings.place.as_str().into(),
            source,
        };
        tokio::time::timeout(
            settings.connect_timeout,
            Self::dial_all(&settings, dialer, owners),
        )
        .await
        .unwrap_or_else(|_| Err(failed(failure::no_connection(settings.connect_timeout))))
    }

    async fn dial_all(
        settings: &RedisSettings,
        dialer: Arc<Dialer>,
        owners: &OwnerIds,
    ) -> Result<Self, Error> {
        let names = Names::new(settings.prefix.clone());
        let (inbox, reports) = unbounded_channel();
        let mut links = Vec::with_capacity(settings.connections);
        for link in 0..settings.connections {
            let channel = format!("{}{link}", owners.pool());
            let connection = dialer
                .dial(link, 0, &inbox, &(names.channels() + &channel))
                .await
                .map_err(|source| Error::Connect {
                    place: settings.place.as_str().into(),
                    source,
                })?;
            if link == 0 {
                settings_check::check(connection.clone(), settings).await?;
            }
            links.push(Link {
                connection: Some(connection),
                channel,
                outgoing: Vec::new(),
                clocks: None,
                generation: 0,
                failures: 0,
                last_answer: Time::now(),
                last_error: failure::disconnected(),
            });
        }
        info!(
            server = settings.place,
            prefix = settings.prefix,
            "locks are kept on Redis"
        );
        Ok(Self {
            pool: owners.pool().into(),
            dialer,
            names,
            links,
            in_flight: HashMap::new(),
            done: VecDeque::new(),
            inbox,
            reports,
        })
    }

    /// Gives a connection up, and dials another one.
    fn replace(&mut self, link: usize, error: BackendError) {
        let broken = &mut self.links[link];
        broken.connection = None;
        // The next one may lead to another server, with another clock.
        broken.clocks = None;
        broken.generation += 1;
        broken.last_error = error;
        let lost: Vec<AttemptId> = self
            .in_flight
            .iter()
            .filter(|(_, attempt)| attempt.link == link)
            .map(|(id, _)| *id)
            .collect();
        for id in lost {
            if let Some(attempt) = self.in_flight.remove(&id) {
                let error = self.links[attempt.link].last_error.clone();
                let failed = failure::lost_on_the_way(error);
                self.done.push_back(Event::Done(id, Err(failed)));
            }
        }
        self.redial(link);
    }

    fn redial(&self, link: usize) {
        let Link {
            generation,
            failures,
            ..
        } = self.links[link];
        let (dialer, inbox) = (Arc::clone(&self.dialer), self.inbox.clone());
        let channel = self.names.channels() + &self.links[link].channel;
        tokio::spawn(async move {
            tokio::time::sleep(dial::pause(failures)).await;
            let result = dialer.dial(link, generation, &inbox, &channel).await;
            // Nobody listens when the pool has ended meanwhile.
            drop(inbox.send(Report::Dialled {
                link,
                generation,
                result,
            }));
        });
    }

    fn on_report(&mut self, report: Report) -> Option<Event> {
        match report {
            Report::Answered {
                link,
                generation,
                sent_at,
                questions,
                answer,
            } => {
                self.on_answer(link, generation, sent_at, &questions, answer);
                None
            }
            Report::Message {
                link,
                generation,
                message,
            } => self.on_message(link, generation, &message),
            Report::Disconnected { link, generation } => {
                if self.links[link].generation == generation {
                    self.replace(link, failure::disconnected());
                    warn!(link, "connection to Redis lost");
                }
                None
            }
            Report::Dialled {
                link,
                generation,
                result,
            } => self.on_dialled(link, generation, result),
        }
    }

    fn send(&mut self, link: usize, attempts: Vec<Attempt>) {
        let to = &self.links[link];
        let Some(mut connection) = to.connection.clone() else {
            for attempt in attempts {
                let failed = failure::not_sent(self.links[link].last_error.clone());
                self.done.push_back(Event::Done(attempt.id, Err(failed)));
            }
            return;
        };
        let (generation, sent_at) = (to.generation, Time::now());
        let mut call = Call::new(self.names.channels());
        let mut questions = Vec::with_capacity(attempts.len());
        for attempt in attempts {
            let bucket = names::bucket(&attempt.key);
            call.push(&self.names, bucket, &attempt, &to.channel);
            questions.push((attempt.id, Question::of(&attempt.op)));
            self.in_flight
                .insert(attempt.id, InFlight { link, sent_at });
        }
        let inbox = self.inbox.clone();
        tokio::spawn(async move {
            let answer = call.invoke(&mut connection).await;
            // Nobody listens when the pool has ended meanwhile.
            drop(inbox.send(Report::Answered {
                link,
                generation,
                sent_at,
                questions,
                answer,
            }));
        });
    }

    fn on_dialled(
        &mut self,
        link: usize,
        generation: u64,
        result: Result<MultiplexedConnection, BackendError>,
    ) -> Option<Event> {
        let current = &mut self.links[link];
        if current.generation != generation {
            return None;
        }
        match result {
            Ok(connection) => {
                current.connection = Some(connection);
                current.failures = 0;
                current.last_answer = Time::now();
                info!(link, "connected to Redis again");
                Some(Event::Reconnected)
            }
            Err(error) => {
                current.failures += 1;
                current.last_error = error.clone();
                self.redial(link);
                warn!(link, %error, "no connection to Redis; trying again");
                None
            }
        }
    }
}

impl Backend for RedisBackend {
    fn submit(&mut self, attempt: Attempt) {
        // One key always takes the same connection: its attempts stay in order.
        let link = usize::from(names::bucket(&attempt.key)) % self.links.len();
        self.links[link].outgoing.push(attempt);
        if self.links[link].outgoing.len() == LARGEST_BATCH {
            self.flush();
        }
    }

    fn flush(&mut self) {
        for link in 0..self.links.len() {
            let attempts = std::mem::take(&mut self.links[link].outgoing);
            if !attempts.is_empty() {
                self.send(link, attempts);
            }
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            if let Some(event) = self.done.pop_front() {
                return Poll::Ready(event);
            }
            let report = ready!(self.reports.poll_recv(cx)).expect("a sender is in this struct");
            if let Some(event) = self.on_report(report) {
                return Poll::Ready(event);
            }
        }
    }

    /// A connection on which nothing came back since the attempt was sent is given up: one that is
    /// half open would never report an error.
    fn overdue(&mut self, id: AttemptId) {
        let Some(attempt) = self.in_flight.remove(&id) else {
            return;
        };
        let link = &self.links[attempt.link];
        if link.connection.is_some() && link.last_answer < attempt.sent_at {
            self.replace(attempt.link, failure::silent());
            warn!(link = attempt.link, "Redis does not answer; dialling anew");
        }
    }
}
