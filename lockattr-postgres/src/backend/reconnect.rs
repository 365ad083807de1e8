//! Connections that are lost or silent, and those that take their place.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use lockattr::backend::{BackendError, Event, Failure};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::PostgresBackend;
use crate::dial::{self, Session};
use crate::failure;
use crate::link::Alarm;
use crate::notice::Notice;

/// What the tasks of this backend report.
pub(crate) enum Report {
    Notified {
        link: usize,
        generation: u64,
        payload: String,
    },
    Dialled {
        link: usize,
        generation: u64,
        result: Result<Session, BackendError>,
    },
    Disconnected {
        link: usize,
        generation: u64,
    },
}

impl PostgresBackend {
    /// Gives a connection up, and dials another one.
    pub(super) fn replace(&mut self, link: usize, error: BackendError) {
        let lost = self.in_flight.extract_if(|_, by| *by == link);
        self.done.extend(lost.map(|(id, _)| {
            let failed = Failure::outcome_unknown(error.clone());
            Event::Done(id, Err(failed))
        }));
        let was_asked = self.links[link].unanswered > 0;
        let tls = self.links[link].dialer.tls.clone();
        if let Some(session) = self.links[link].lose(error)
            && was_asked
        {
            // What waits there for a row or a standby would wait on, and keep a place among the server's connections.
            let (token, within) = (session.line.client.cancel_token(), self.patience);
            tokio::spawn(async move {
                let cancelled = tokio::time::timeout(within, tls.cancel(token)).await;
                if !matches!(cancelled, Ok(Ok(()))) {
                    debug!("the server was not told to stop what it did for a lost connection");
                }
            });
        }
        self.redial(link);
    }

    fn redial(&mut self, link: usize) {
        let lost = &mut self.links[link];
        if lost.is_dialling {
            return;
        }
        lost.is_dialling = true;
        lost.generation += 1;
        let (generation, pause) = (lost.generation, dial::pause(lost.failures));
        let (dialer, inbox) = (Arc::clone(&lost.dialer), self.inbox.clone());
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let result = dialer.dial((link, generation), inbox.clone()).await;
            // No task listens when the pool has ended meanwhile.
            drop(inbox.send(Report::Dialled {
                link,
                generation,
                result,
            }));
        });
    }

    pub(super) fn on_report(&mut self, report: Report) -> Option<Event> {
        match report {
            Report::Notified {
                link,
                generation,
                payload,
            } => {
                let by = &self.links[link];
                let session = by
                    .session
                    .as_ref()
                    .filter(|_| by.generation == generation)?;
                let told = Notice::parse(&payload);
                let event = told.and_then(|it| it.event(&self.owners, session.clocks));
                if event.is_none() {
                    warn!("a notification of the server made no sense");
                }
                event
            }
            Report::Disconnected { link, generation } => {
                if self.links[link].session.is_some() && self.links[link].generation == generation {
                    warn!(link, "connection to PostgreSQL lost");
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
        result: Result<Session, BackendError>,
    ) -> Option<Event> {
        let of = &mut self.links[link];
        if of.generation != generation {
            return None;
        }
        of.is_dialling = false;
        // It may have ended before it was known here, and is reported no more.
        let result = result.and_then(|session| {
            if session.line.client.is_closed() {
                return Err(failure::disconnected());
            }
            Ok(session)
        });
        match result {
            Ok(session) => {
                of.found(session);
                info!(link, "connected to PostgreSQL again");
                Some(Event::Reconnected)
            }
            Err(error) => {
                warn!(link, %error, "no connection to PostgreSQL; trying again");
                of.failures = of.failures.saturating_add(1);
                of.last_error = error;
                self.redial(link);
                None
            }
        }
    }

    /// Waits until a link has been silent for too long, or it is time to ask for turns.
    pub(super) fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let patience = self.patience;
        let links = self.links.iter().filter_map(|link| link.wakeup(patience));
        let turns = self
            .turns
            .wakeup()
            .filter(|_| self.links[0].session.is_some());
        let sweep = self.sweep_at.filter(|_| self.links[0].session.is_some());
        let Some(next) = links.chain(turns).chain(sweep).min() else {
            return Poll::Pending;
        };
        // Too early costs a look, and too late is never.
        if next < self.alarm.deadline() || self.alarm.is_elapsed() {
            self.alarm.as_mut().reset(next);
        }
        ready!(self.alarm.as_mut().poll(cx));
        let now = Instant::now();
        for link in 0..self.links.len() {
            match self.links[link].take_alarm(now, patience) {
                Some(Alarm::Ask) => self.ask_clock(link),
                Some(Alarm::GiveUp) => {
                    warn!(link, "PostgreSQL does not answer; dialling anew");
                    self.replace(link, failure::silent());
                }
                None => {}
            }
        }
        self.ask_for_turns(now);
        self.sweep(now);
        Poll::Ready(())
    }
}
