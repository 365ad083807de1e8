//! The backend: attempts go out in batches, and connections come and go.

mod answers;
mod connect;
mod reconnect;

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lockattr::backend::{
    Attempt, AttemptId, Backend, BackendError, Capabilities, Event, Examination, Failure,
    Inspector, OwnerIds, Time,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::{Instant, Sleep};
use tokio_postgres::{Error, Row};

use self::answers::{Answer, Question};
pub(crate) use self::reconnect::Report;
use crate::batch::{Arguments, LARGEST, unknown};
use crate::line::Line;
use crate::link::{Link, jittered};
use crate::schema::quoted;
use crate::turns::{self, Turns};
use crate::{doctor, inspection};

/// The pauses between sweeps, whether the pool is busy or idle.
const SWEEPING: Duration = Duration::from_secs(10);
/// So few rows that attempts behind a sweep hardly notice it. The next one follows at once if there may be more.
const SWEPT_AT_ONCE: u32 = 500;

fn next_sweep() -> Instant {
    Instant::now() + jittered(SWEEPING)
}

pub(crate) struct PostgresBackend {
    /// Those for attempts first; one that only listens is the last.
    links: Vec<Link>,
    homes: usize,
    schema: String,
    owners: OwnerIds,
    patience: Duration,
    /// Which link listens.
    listener: Option<usize>,
    /// If none does.
    turns: Turns,
    /// When the server is asked to sweep. `None` while it does.
    sweep_at: Option<Instant>,
    /// For the next link that is silent, and the next question about turns.
    alarm: Pin<Box<Sleep>>,
    /// On which link each attempt is whose outcome is waited for.
    in_flight: HashMap<AttemptId, usize>,
    done: VecDeque<Event>,
    calls: FuturesUnordered<Pin<Box<dyn Future<Output = Answer> + Send>>>,
    inbox: UnboundedSender<Report>,
    reports: UnboundedReceiver<Report>,
    round_trip: Duration,
}

impl PostgresBackend {
    /// Returns the connection for questions, as it is now.
    fn line(&self) -> Result<Arc<Line>, BackendError> {
        let link = &self.links[0];
        let session = link.session.as_ref();
        session
            .map(|it| Arc::clone(&it.line))
            .ok_or_else(|| link.last_error.clone())
    }

    /// Sends a question by a link that has a connection.
    fn ask<F>(&mut self, link: usize, to: Question, asking: impl FnOnce(Arc<Line>) -> F)
    where
        F: Future<Output = Result<Vec<Row>, Error>> + Send + 'static,
    {
        let by = &mut self.links[link];
        let Some(session) = &by.session else {
            return;
        };
        let rows = asking(Arc::clone(&session.line));
        by.sent();
        let (generation, sent_at) = (by.generation, Time::now());
        self.calls.push(Box::pin(async move {
            Answer {
                link,
                generation,
                sent_at,
                to,
                rows: rows.await,
            }
        }));
    }

    fn send(&mut self, link: usize, attempts: Vec<Attempt>) {
        let ear = self
            .listener
            .and_then(|it| self.links[it].session.as_ref()?.ear.clone());
        let Some(session) = &self.links[link].session else {
            let error = &self.links[link].last_error;
            for attempt in attempts {
                let failed = Failure::not_executed(error.clone());
                self.done.push_back(Event::Done(attempt.id(), Err(failed)));
            }
            return;
        };
        let call = session.call.clone();
        let arguments = Arguments::of(&attempts);
        for attempt in &attempts {
            self.in_flight.insert(attempt.id(), link);
        }
        self.ask(link, Question::Attempts(attempts), |line| async move {
            let _turn = line.turn().await;
            arguments.call(&line.client, &call, ear.as_ref()).await
        });
    }

    fn ask_clock(&mut self, link: usize) {
        let text = format!("select {}.micros(clock_timestamp())", quoted(&self.schema));
        self.ask_text(link, Question::Clock, text);
    }

    /// Asks the server to remove what has ended, if it is time.
    fn sweep(&mut self, now: Instant) {
        if self.links[0].session.is_none() || self.sweep_at.is_none_or(|at| at > now) {
            return;
        }
        self.sweep_at = None;
        let schema = quoted(&self.schema);
        let text = format!(
            "select {schema}.micros(clock_timestamp()), {schema}.sweep_v1({SWEPT_AT_ONCE})"
        );
        self.ask_text(0, Question::Sweep, text);
    }

    fn ask_text(&mut self, link: usize, to: Question, text: String) {
        self.ask(link, to, |line| async move {
            let _turn = line.turn().await;
            line.client.query_typed(&text, &[]).await
        });
    }

    fn ask_for_turns(&mut self, now: Instant) {
        if self.listener.is_some() || self.links[0].session.is_none() {
            return;
        }
        let Some(question) = self.turns.take_question(now) else {
            return;
        };
        let schema = self.schema.clone();
        self.ask(0, Question::Turns, |line| async move {
            let _turn = line.turn().await;
            turns::ask(&line.client, &schema, question).await
        });
    }
}

/// One key always takes the same connection: its attempts stay in order.
fn home_of(key: &str, homes: usize) -> usize {
    if homes == 1 {
        return 0;
    }
    // FNV-1a: any hash that spreads.
    let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    usize::try_from(hash % homes as u64).unwrap_or(0)
}

impl Backend for PostgresBackend {
    fn capabilities(&self) -> Capabilities {
        let homes = self.homes;
        Capabilities::default()
            .with_queue()
            .with_round_trip(self.round_trip)
            .with_token_ranges()
            .with_modes()
            .with_min_hold()
            .with_lanes(homes, move |key| home_of(key, homes))
    }

    fn room(&self, lane: usize, waiting: usize) -> usize {
        self.links[lane].room(waiting)
    }

    fn submit(&mut self, attempt: Attempt) {
        if let Some(failed) = unknown(&attempt) {
            self.done.push_back(Event::Done(attempt.id(), Err(failed)));
            return;
        }
        let link = home_of(attempt.key(), self.homes);
        self.links[link].outgoing.push(attempt);
    }

    fn flush(&mut self) {
        for link in 0..self.homes {
            let mut outgoing = std::mem::take(&mut self.links[link].outgoing)
                .into_iter()
                .peekable();
            while outgoing.peek().is_some() {
                let batch = outgoing.by_ref().take(LARGEST).collect();
                self.send(link, batch);
            }
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            if let Some(event) = self.done.pop_front() {
                return Poll::Ready(event);
            }
            if let Poll::Ready(Some(answer)) = self.calls.poll_next_unpin(cx) {
                self.on_answer(answer);
                if self.done.is_empty() {
                    return Poll::Ready(Event::Room);
                }
                continue;
            }
            match self.reports.poll_recv(cx) {
                Poll::Ready(report) => {
                    let report = report.expect("a sender is in this struct");
                    if let Some(event) = self.on_report(report) {
                        return Poll::Ready(event);
                    }
                }
                Poll::Pending => ready!(self.poll_time(cx)),
            }
        }
    }

    fn examine(&self) -> Examination {
        doctor::examine(self.line(), self.schema.clone(), self.listener.is_some())
    }

    fn inspector(&self) -> Option<Inspector> {
        Some(inspection::inspector(self.line(), &self.schema))
    }

    /// The connection is judged by its own silence: a call with a shorter ttl has less patience than the others.
    fn overdue(&mut self, id: AttemptId) {
        if self.in_flight.remove(&id).is_none() {
            // Still held back, and never sent then.
            for link in &mut self.links {
                link.outgoing.retain(|attempt| attempt.id() != id);
            }
        }
    }
}
