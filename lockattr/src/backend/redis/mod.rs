//! Locks on a Redis server, which Sentinel may replace by another one.
//!
//! Two things are special to it: an attempt whose connection fails after sending may have been
//! executed, and connections come and go. Each [`Link`] is one multiplexed connection that is
//! dialled anew when it breaks or falls silent; nothing is ever sent twice from here.

mod answers;
mod cluster;
mod confirm;
mod connect;
mod connection;
mod dial;
mod doctor;
#[cfg(test)]
mod equivalence;
mod failure;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod hello;
mod hosts;
mod inspection;
mod link;
mod names;
mod options;
mod quorum;
mod reconnect;
mod reply;
mod scripts;
mod sentinel;
mod stream;
#[cfg(test)]
mod test_server;
#[cfg(feature = "tls")]
mod tls;
mod url;
mod voice;

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use redis::{RedisResult, Value};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::Sleep;
use tracing::warn;

use super::{
    Attempt, AttemptId, Backend, BackendError, Capabilities, Event, Examination, Inspector,
    OwnerIds,
};
use crate::clock::Time;
use cluster::{Cluster, Table};
use confirm::Verdict;
use connection::Connection;
use hello::Refusal;
use link::{LARGEST_BATCH, Link};
use names::Names;
pub use options::RedisOptions;
pub(crate) use quorum::connect as connect_quorum;
use scripts::{Call, Caller};
use sentinel::Following;
use stream::Address;
#[cfg(test)]
pub(crate) use test_server::RedisServer;
use voice::Voice;

pub(crate) struct RedisSettings {
    pub(crate) url: String,
    /// The URL as it may be shown.
    pub(crate) place: String,
    pub(crate) options: RedisOptions,
    pub(crate) connect_timeout: Duration,
    /// How long a connection on which something was asked may be silent.
    pub(crate) response_timeout: Duration,
    /// `None` for what suits the way to the server.
    pub(crate) claim_window: Option<Duration>,
}

#[cfg(test)]
impl RedisSettings {
    pub(crate) fn of(url: &str, connections: usize) -> Self {
        Self {
            url: url.to_owned(),
            place: url.to_owned(),
            options: RedisOptions::new().connections(connections),
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(1),
            claim_window: None,
        }
    }
}

pub(crate) struct RedisBackend {
    following: Following,
    names: Names,
    links: Vec<Link>,
    /// How many links there were at first for attempts without a confirmation.
    homes: usize,
    /// If it is one.
    cluster: Option<Cluster>,
    voice: Voice,
    /// Why the server sends no messages, if it sends none.
    why_mute: Option<String>,
    /// If it is one of a quorum: how long it has no vote after a start.
    restart_delay: Option<Duration>,
    owners: OwnerIds,
    response_timeout: Duration,
    least_claim_window: Duration,
    /// For the next link that is silent.
    alarm: Pin<Box<Sleep>>,
    /// On which link each attempt is whose outcome is waited for.
    in_flight: HashMap<AttemptId, usize>,
    done: VecDeque<Event>,
    /// The calls that wait for their answers.
    calls: FuturesUnordered<Pin<Box<dyn Future<Output = Answer> + Send>>>,
    /// Those that wait for their answers and a confirmation.
    confirming: FuturesUnordered<Pin<Box<dyn Future<Output = Vec<Answer>> + Send>>>,
    /// How many calls were sent.
    sent: u64,
    inbox: UnboundedSender<Report>,
    reports: UnboundedReceiver<Report>,
}

/// What came back from a call of the script.
struct Answer {
    link: usize,
    generation: u64,
    /// The call's.
    number: u64,
    sent_at: Time,
    attempts: Vec<Attempt>,
    /// How often they were sent on from node to node.
    hops: u8,
    value: RedisResult<Value>,
    /// What was confirmed, if the attempts ask for it.
    verdicts: Option<Arc<[Verdict]>>,
}

/// What the tasks of this backend report.
enum Report {
    /// A handoff was published for a waiter of this connection.
    Message {
        link: usize,
        generation: u64,
        message: Value,
    },
    Dialled {
        link: usize,
        generation: u64,
        result: Result<Connection, Refusal>,
    },
    Disconnected {
        link: usize,
        generation: u64,
    },
    /// Which node has which slot.
    Discovered(Result<Table, BackendError>),
    /// Where the master is, in the words of the sentinels.
    Master {
        address: Address,
    },
}

impl RedisBackend {
    fn on_report(&mut self, report: Report) -> Option<Event> {
        match report {
            Report::Message {
                link,
                generation,
                message,
            } => self.on_message(link, generation, &message),
            Report::Disconnected { link, generation } => {
                if self.links[link].current(generation).is_some() {
                    self.replace(link, failure::disconnected());
                    warn!(link, "connection to Redis lost");
                }
                None
            }
            Report::Discovered(found) => {
                self.on_discovered(found);
                self.flush();
                None
            }
            Report::Dialled {
                link,
                generation,
                result,
            } => self.on_dialled(link, generation, result),
            Report::Master { address } => {
                self.on_master(&address);
                None
            }
        }
    }

    /// Whether a call may have the names of several keys. Where a key's node changes and a call has one
    /// slot only, there is little to gather; and a proxy chooses the server by the first name.
    fn gathers(&self) -> bool {
        self.cluster.is_none() && self.voice == Voice::Messages
    }

    /// Divides attempts into those that share a call, in their order.
    fn calls_of(&self, outgoing: Vec<Attempt>) -> Vec<Vec<Attempt>> {
        let groups = match &self.cluster {
            Some(_) => cluster::by_slot(outgoing),
            None => vec![outgoing],
        };
        let most = if self.cluster.is_some() || self.gathers() {
            LARGEST_BATCH
        } else {
            1
        };
        let mut calls = Vec::with_capacity(groups.len());
        for group in groups {
            let mut attempts = group.into_iter().peekable();
            while attempts.peek().is_some() {
                calls.push(attempts.by_ref().take(most).collect());
            }
        }
        calls
    }

    /// Sends a batch; an empty one asks for the server's time only.
    fn send(&mut self, link: usize, attempts: Vec<Attempt>) {
        self.send_hop(link, attempts, 0, false);
    }

    /// Does so for attempts that were sent on so often, `asks` where their slot is still moving there.
    fn send_hop(&mut self, link: usize, mut attempts: Vec<Attempt>, hops: u8, asks: bool) {
        let to = &mut self.links[link];
        let Some(by) = &mut to.connection else {
            for attempt in attempts {
                let failed = failure::not_sent(to.last_error.clone());
                self.done.push_back(Event::Done(attempt.id, Err(failed)));
            }
            return;
        };
        by.sent();
        let (generation, sent_at) = (by.generation, Time::now());
        let mut connection = by.shared.clone();
        self.sent += 1;
        let number = self.sent;
        let caller = Caller {
            names: &self.names,
            channel: &to.channel,
            is_node: self.cluster.is_some(),
            voice: self.voice,
        };
        let call = Call::new(&caller, &mut attempts, number, &mut by.known);
        for attempt in &attempts {
            self.in_flight.insert(attempt.id, link);
        }
        self.calls.push(Box::pin(async move {
            Answer {
                link,
                generation,
                number,
                sent_at,
                attempts,
                hops,
                value: call.invoke(&mut connection, asks).await,
                verdicts: None,
            }
        }));
    }
}

impl Backend for RedisBackend {
    fn capabilities(&self) -> Capabilities {
        let links = self.homes;
        let mut all = Capabilities::default().with_token_ranges().with_min_hold();
        if self.voice == Voice::Messages {
            all = all
                .with_queue()
                .with_modes()
                .with_least_claim_window(self.least_claim_window);
        }
        if self.voice > Voice::Scripts {
            // A proxy passes no WAIT on.
            all = all.with_confirmation();
        }
        if !self.gathers() {
            return all;
        }
        all.with_lanes(links, move |key| link_of(key, links))
    }

    fn room(&self, link: usize, waiting: usize) -> usize {
        if !self.gathers() {
            return waiting;
        }
        self.links[link].room(waiting)
    }

    fn submit(&mut self, attempt: Attempt) {
        let home = match &self.cluster {
            Some(cluster) => cluster.link_of(attempt.key()),
            None => link_of(attempt.key(), self.homes),
        };
        let link = match attempt.confirmation {
            Some(asked) => self.link_beside(home, asked),
            None => home,
        };
        self.links[link].outgoing.push(attempt);
    }

    fn flush(&mut self) {
        for link in 0..self.links.len() {
            if self.links[link].beside.is_some() {
                self.flush_beside(link);
            } else if self.links[link].is_due(self.response_timeout) {
                let outgoing = std::mem::take(&mut self.links[link].outgoing);
                for call in self.calls_of(outgoing) {
                    self.send(link, call);
                }
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
            if let Poll::Ready(Some(answers)) = self.confirming.poll_next_unpin(cx) {
                self.on_confirmed(answers);
                continue;
            }
            match self.reports.poll_recv(cx) {
                Poll::Ready(report) => {
                    let report = report.expect("a sender is in this struct");
                    if let Some(event) = self.on_report(report) {
                        return Poll::Ready(event);
                    }
                }
                Poll::Pending => ready!(self.poll_silence(cx)),
            }
        }
    }

    fn examine(&self) -> Examination {
        self.examination()
    }

    fn inspector(&self) -> Option<Inspector> {
        Some(self.answers())
    }

    /// The connection is judged by its own silence: who asked for a shorter ttl has less patience
    /// than the others have.
    fn overdue(&mut self, id: AttemptId) {
        if self.in_flight.remove(&id).is_none() {
            // Still held back, and never sent then.
            for link in &mut self.links {
                link.outgoing.retain(|attempt| attempt.id != id);
            }
        }
    }
}

/// One key always takes the same connection: its attempts stay in order.
fn link_of(key: &str, links: usize) -> usize {
    usize::from(names::bucket(key)) % links
}
