//! Locks on one Redis server.
//!
//! Two things are special to it: an attempt whose connection fails after sending may have been
//! executed, and connections come and go. Each [`Link`] is one multiplexed connection that is
//! dialled anew when it breaks or falls silent; nothing is ever sent twice from here.

mod dial;
mod failure;
mod names;
mod reply;
mod scripts;
mod settings_check;

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;
use tracing::{info, warn};

use super::{Attempt, AttemptId, Backend, BackendError, Event, Failure};
use crate::Error;
use crate::clock::Time;
use dial::Dialer;
use names::Names;
use reply::Question;
use scripts::Call;

#[derive(Debug, Clone)]
pub(crate) struct RedisSettings {
    pub(crate) url: String,
    /// The URL as it may be shown.
    pub(crate) place: String,
    pub(crate) prefix: String,
    pub(crate) connections: usize,
    pub(crate) connect_timeout: Duration,
    pub(crate) strict: bool,
}

pub(crate) struct RedisBackend {
    dialer: Arc<Dialer>,
    names: Names,
    links: Vec<Link>,
    in_flight: HashMap<AttemptId, InFlight>,
    inbox: UnboundedSender<Report>,
    reports: UnboundedReceiver<Report>,
}

/// One connection, or the effort to get one.
struct Link {
    connection: Option<MultiplexedConnection>,
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
    task: AbortHandle,
}

/// What the tasks of this backend report.
enum Report {
    Answered {
        id: AttemptId,
        question: Question,
        answer: RedisResult<Value>,
    },
    Failed {
        id: AttemptId,
        failure: Failure,
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
    pub(crate) async fn connect(settings: RedisSettings) -> Result<Self, Error> {
        let dialer = Arc::new(Dialer::new(&settings)?);
        let failed = |source| Error::Connect {
            place: settings.place.as_str().into(),
            source,
        };
        tokio::time::timeout(settings.connect_timeout, Self::dial_all(&settings, dialer))
            .await
            .unwrap_or_else(|_| Err(failed(failure::no_connection(settings.connect_timeout))))
    }

    async fn dial_all(settings: &RedisSettings, dialer: Arc<Dialer>) -> Result<Self, Error> {
        let (inbox, reports) = unbounded_channel();
        let mut links = Vec::with_capacity(settings.connections);
        for link in 0..settings.connections {
            let connection =
                dialer
                    .dial(link, 0, &inbox)
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
        let names = Names::new(settings.prefix.clone());
        Ok(Self {
            dialer,
            names,
            links,
            in_flight: HashMap::new(),
            inbox,
            reports,
        })
    }

    fn report(&self, report: Report) {
        assert!(
            self.inbox.send(report).is_ok(),
            "the receiver is in this struct"
        );
    }

    /// Gives a connection up, and dials another one.
    fn replace(&mut self, link: usize, error: BackendError) {
        let broken = &mut self.links[link];
        broken.connection = None;
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
                attempt.task.abort();
                let error = self.links[link].last_error.clone();
                self.report(Report::Failed {
                    id,
                    failure: failure::lost_on_the_way(error),
                });
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
        tokio::spawn(async move {
            tokio::time::sleep(dial::pause(failures)).await;
            let result = dialer.dial(link, generation, &inbox).await;
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
                id,
                question,
                answer,
            } => {
                let attempt = self.in_flight.remove(&id)?;
                let spoilt = answer.as_ref().is_err_and(failure::spoils_the_connection);
                let outcome = reply::read(question, answer);
                match &outcome {
                    Err(failed) if spoilt => self.replace(attempt.link, failed.error.clone()),
                    _ => self.links[attempt.link].last_answer = Time::now(),
                }
                Some(Event::Done(id, outcome))
            }
            Report::Failed { id, failure } => Some(Event::Done(id, Err(failure))),
            Report::Disconnected { link, generation } => {
                if self.links[link].generation == generation {
                    warn!(link, "connection to Redis lost");
                    self.replace(link, failure::disconnected());
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
                info!(link, "connected to Redis again");
                current.connection = Some(connection);
                current.failures = 0;
                current.last_answer = Time::now();
                Some(Event::Reconnected)
            }
            Err(error) => {
                warn!(link, %error, "no connection to Redis; trying again");
                current.failures += 1;
                current.last_error = error;
                self.redial(link);
                None
            }
        }
    }
}

impl Backend for RedisBackend {
    fn submit(&mut self, attempt: Attempt) {
        let Attempt { id, key, owner, op } = attempt;
        // One key always takes the same connection: its attempts stay in order.
        let bucket = names::bucket(&key);
        let link = usize::from(bucket) % self.links.len();
        let Some(mut connection) = self.links[link].connection.clone() else {
            let error = self.links[link].last_error.clone();
            return self.report(Report::Failed {
                id,
                failure: failure::not_sent(error),
            });
        };
        let question = Question::of(&op);
        let call = Call::new(&self.names, bucket, &key, &owner, &op);
        let inbox = self.inbox.clone();
        let task = tokio::spawn(async move {
            let answer = call.invoke(&mut connection).await;
            // Nobody listens when the pool has ended meanwhile.
            drop(inbox.send(Report::Answered {
                id,
                question,
                answer,
            }));
        });
        self.in_flight.insert(
            id,
            InFlight {
                link,
                sent_at: Time::now(),
                task: task.abort_handle(),
            },
        );
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
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
        attempt.task.abort();
        let link = &self.links[attempt.link];
        if link.connection.is_some() && link.last_answer < attempt.sent_at {
            warn!(link = attempt.link, "Redis does not answer; dialling anew");
            self.replace(attempt.link, failure::silent());
        }
    }
}
