//! What is asked on a connection, and the answers.

use lockattr::backend::{Attempt, Event, Failure, Time};
use tokio::time::Instant;
use tokio_postgres::{Error, Row};
use tracing::warn;

use super::{PostgresBackend, next_sweep};
use crate::batch::Answered;
use crate::clock::Clocks;
use crate::failure;

/// What came back.
pub(super) struct Answer {
    pub(super) link: usize,
    pub(super) generation: u64,
    pub(super) sent_at: Time,
    pub(super) to: Question,
    pub(super) rows: Result<Vec<Row>, Error>,
}

/// What was asked.
pub(super) enum Question {
    Attempts(Vec<Attempt>),
    Turns,
    Clock,
    Sweep,
}

impl PostgresBackend {
    pub(super) fn on_answer(&mut self, answer: Answer) {
        let Answer {
            link,
            generation,
            sent_at,
            to,
            rows,
        } = answer;
        let is_current =
            self.links[link].session.is_some() && self.links[link].generation == generation;
        if is_current {
            self.links[link].answered();
        }
        match to {
            Question::Attempts(attempts) => {
                self.on_outcomes(link, sent_at, attempts, &rows, is_current);
            }
            Question::Turns => {
                let found = rows.as_deref().unwrap_or_default();
                let events = self.turns.answered(found, &self.owners, sent_at);
                self.done.extend(events);
            }
            Question::Clock => self.on_clock(link, sent_at, &rows, is_current),
            Question::Sweep => {
                self.on_clock(link, sent_at, &rows, is_current);
                let has_more = match &rows {
                    Ok(rows) => rows.first().and_then(|row| row.try_get(1).ok()),
                    Err(error) => {
                        warn!(error = %failure::of(error), "what has ended is not removed");
                        None
                    }
                };
                self.sweep_at = Some(match has_more {
                    Some(true) => Instant::now(),
                    _ => next_sweep(),
                });
            }
        }
        if let Err(error) = &rows
            && is_current
            && (error.is_closed() || failure::is_standby(error))
        {
            self.replace(link, failure::of(error));
        }
    }

    fn on_clock(
        &mut self,
        link: usize,
        sent_at: Time,
        rows: &Result<Vec<Row>, Error>,
        is_current: bool,
    ) {
        let said = rows.as_ref().ok().and_then(|rows| rows.first());
        if let Some(micros) = said.and_then(|row| row.try_get(0).ok())
            && is_current
            && let Some(session) = &mut self.links[link].session
        {
            session.clocks = Clocks::new(sent_at, micros);
        }
    }

    fn on_outcomes(
        &mut self,
        link: usize,
        sent_at: Time,
        attempts: Vec<Attempt>,
        rows: &Result<Vec<Row>, Error>,
        is_current: bool,
    ) {
        let mut outcomes: Vec<Option<_>> = vec![None; attempts.len()];
        let mut default = Failure::outcome_unknown(failure::malformed("an attempt has no row"));
        match rows {
            Err(error) => default = failure::of_batch(error),
            Ok(rows) => {
                for row in rows {
                    match Answered::read(row) {
                        Ok(it) => {
                            if is_current && let Some(session) = &mut self.links[link].session {
                                session.clocks = Clocks::new(sent_at, it.at);
                            }
                            if let Some(place) = outcomes.get_mut(it.place) {
                                *place = Some(it.outcome);
                            }
                        }
                        Err(error) => default = Failure::outcome_unknown(error),
                    }
                }
            }
        }
        for (attempt, outcome) in attempts.into_iter().zip(outcomes) {
            let outcome = outcome.unwrap_or_else(|| Err(default.clone()));
            if self.listener.is_none() {
                self.turns.note(&attempt, &outcome);
            }
            // Otherwise the pool has been told already, or waits no longer.
            if self.in_flight.remove(&attempt.id()).is_some() {
                self.done.push_back(Event::Done(attempt.id(), outcome));
            }
        }
    }
}
