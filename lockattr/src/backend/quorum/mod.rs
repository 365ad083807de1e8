//! Locks on a quorum of servers that know nothing of each other (Redlock), with fencing tokens.
//!
//! A lease is held while a majority of the servers has it. Source of the algorithm: "Distributed Locks with
//! Redis" (redis.io), for the majority, the time that counts from before the first request, and the release
//! everywhere. What is added:
//!
//! * *Tokens that grow over any majority.* The token of a grant is the greatest that a server of the majority
//!   has granted, or a proposal beyond all of their clocks; before the grant counts, the counters of a majority
//!   are raised to it while the lock is there. A later majority has one of these servers, which grants a
//!   greater token then.
//! * *A queue*, at the first server in the order of the key that answers, see `acquiring`.
//!
//! It works on any [`Backend`] that has a queue and ranges of tokens. [`Ballots`] decides, and does no I/O.

mod acquiring;
mod agreement;
mod answers;
mod ballot;
mod ballots;
mod desk;
mod examination;
mod holding;
mod inspection;
mod leavings;
mod majority;
mod members;
#[cfg(test)]
mod model;
mod releasing;
mod requests;
mod seat;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::{Attempt, AttemptId, Backend, Capabilities, Event, Examination, Inspector, OwnerIds};
use crate::clock::Time;
use ballots::Ballots;
use desk::Effect;
pub(crate) use majority::{majority, no_majority};
use members::Members;

/// A server of a quorum.
pub(crate) trait Member: Backend {
    /// Returns what the server's clock showed in microseconds, and a time on ours that is not later.
    fn clock(&self) -> Option<(Time, u64)>;
}

/// A quorum of such servers.
pub(crate) struct Quorum<M> {
    members: Vec<M>,
    ballots: Ballots,
    /// The least claim window: a handoff takes two round trips.
    window: Duration,
    events: VecDeque<Event>,
    alarm: Pin<Box<Sleep>>,
}

impl<M: Member> Quorum<M> {
    /// The names are those of errors and traces. `ids` are for the owners that the servers know: no other pool
    /// uses them.
    pub(crate) fn new(members: Vec<(String, M)>, patience: Duration, ids: OwnerIds) -> Self {
        let (names, members): (Vec<String>, Vec<M>) = members.into_iter().unzip();
        let windows = members
            .iter()
            .map(|it| it.capabilities().least_claim_window);
        Self {
            window: windows.max().unwrap_or_default().saturating_mul(2),
            ballots: Ballots::new(Members::new(names), patience, ids),
            members,
            events: VecDeque::new(),
            alarm: Box::pin(tokio::time::sleep(Duration::ZERO)),
        }
    }

    /// Does what the ballots want.
    fn settle(&mut self) {
        while let Some(effect) = self.ballots.next_effect() {
            match effect {
                Effect::Submit(member, attempt) => self.members[member].submit(attempt),
                Effect::Overdue(member, id) => self.members[member].overdue(id),
                Effect::Tell(event) => self.events.push_back(event),
            }
        }
    }

    fn on_event(&mut self, member: usize, event: Event) {
        let now = Time::now();
        let clock = self.members[member].clock();
        self.ballots.desk.members.set_clock(member, clock);
        match event {
            Event::Done(id, outcome) => {
                self.ballots.on_outcome(now, member, id, outcome);
                // A lane of the pool may have waited for it.
                self.lacks_room();
            }
            Event::HandedOver {
                owner,
                granted,
                since,
                ttl,
            } => {
                let lasts = (since, ttl);
                self.ballots.on_handoff(now, member, &owner, granted, lasts);
            }
            Event::Reconnected => {
                self.ballots.desk.give_back_again(now, member);
                self.events.push_back(Event::Reconnected);
            }
            Event::Room => self.lacks_room(),
        }
        self.settle();
    }

    /// The pool asks for room again.
    fn lacks_room(&mut self) {
        if !self.events.iter().any(|event| matches!(event, Event::Room)) {
            self.events.push_back(Event::Room);
        }
    }

    /// Lets the ballots act when they wait for no answer any longer.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.ballots.wakeup() else {
            return Poll::Pending;
        };
        let now = Time::now();
        let deadline = Instant::now() + at.since(now);
        if at > now && (deadline < self.alarm.deadline() || self.alarm.is_elapsed()) {
            self.alarm.as_mut().reset(deadline);
        }
        if at > now {
            ready!(self.alarm.as_mut().poll(cx));
        }
        self.ballots.on_time(Time::now());
        self.settle();
        Poll::Ready(())
    }
}

impl<M: Member> Backend for Quorum<M> {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
            .with_queue()
            .with_token_ranges()
            .with_min_hold()
            .with_least_claim_window(self.window)
    }

    /// The server that has the most room decides: one that hangs has none.
    fn room(&self, lane: usize, waiting: usize) -> usize {
        let rooms = self.members.iter().map(|it| it.room(lane, waiting));
        rooms.max().unwrap_or(waiting)
    }

    fn submit(&mut self, attempt: Attempt) {
        self.ballots.submit(Time::now(), &attempt);
        self.settle();
    }

    fn flush(&mut self) {
        for member in &mut self.members {
            member.flush();
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            let mut has_moved = false;
            for member in 0..self.members.len() {
                while let Poll::Ready(event) = self.members[member].poll_event(cx) {
                    self.on_event(member, event);
                    has_moved = true;
                }
            }
            has_moved |= self.poll_alarm(cx).is_ready();
            if has_moved {
                self.flush();
            }
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(event);
            }
            if !has_moved {
                return Poll::Pending;
            }
        }
    }

    fn examine(&self) -> Examination {
        let asked = self.members.iter().map(Backend::examine).collect();
        examination::examine(self.ballots.desk.members.names(), asked)
    }

    fn inspector(&self) -> Option<Inspector> {
        let members = self.members.iter().map(Backend::inspector);
        inspection::inspector(self.ballots.desk.members.names(), members)
    }

    fn overdue(&mut self, attempt: AttemptId) {
        self.ballots.overdue(attempt);
    }
}
