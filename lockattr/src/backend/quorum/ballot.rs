//! One lease on a quorum of servers: a seat on each of them, and the step that is under way.

use std::ops::Range;
use std::time::Duration;

use super::desk::Desk;
use super::majority::no_majority;
use super::seat::{Answer, Seat};
use crate::backend::{Attempt, AttemptId, Claim, Event, Failure, IfHeld, Outcome, OwnerId};
use crate::clock::Time;
use crate::key::Key;
use crate::label::Label;

/// For a thread that is not scheduled at once.
const MOMENT: Duration = Duration::from_millis(4);

#[derive(Debug, Clone)]
#[cfg_attr(test, derive(Hash))]
pub(super) struct Ballot {
    /// As the pool knows it.
    pub(super) owner: OwnerId,
    pub(super) key: Key,
    pub(super) claim: Claim,
    pub(super) label: Label,
    /// By server.
    pub(super) seats: Vec<Seat>,
    /// The servers in the order in which their queues are used.
    pub(super) order: Vec<usize>,
    /// The tokens, once a majority was held. A majority grants no other owner a token before their end.
    pub(super) held: Option<Range<u64>>,
    pub(super) step: Option<Step>,
    /// Since when this owner has the first server, and others have a majority.
    pub(super) blocked_since: Option<Time>,
    /// The ttl that was asked for last.
    pub(super) ttl: Duration,
    /// Whether nothing is left to do.
    pub(super) is_over: bool,
    /// When it is to be looked at again.
    pub(super) timer: Option<Time>,
}

/// What a ballot does at present.
#[derive(Debug, Clone)]
#[cfg_attr(test, derive(Hash))]
pub(super) struct Step {
    /// The attempt to be answered, if the pool waits for it.
    pub(super) id: Option<AttemptId>,
    pub(super) kind: Kind,
    pub(super) since: Time,
    /// When servers that have not answered count as silent.
    pub(super) deadline: Time,
    /// When the answer of the first server is no longer waited for, once the others suffice.
    grace_until: Option<Time>,
    is_grace_over: bool,
    /// The token that all servers are to grant.
    pub(super) proposal: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub(super) enum Kind {
    Acquire {
        if_held: IfHeld,
        /// Whether only the first server was asked so far.
        alone: bool,
        /// Whether the servers that refused were asked to remember this owner.
        again: bool,
    },
    /// After a handoff at one server: gets the others.
    Gather,
    Renew,
    Reserve,
    Release,
}

impl Ballot {
    pub(super) fn new(attempt: &Attempt, ttl: Duration, desk: &mut Desk) -> Self {
        let count = desk.members.count();
        Self {
            owner: attempt.owner.clone(),
            key: attempt.key.clone(),
            claim: attempt.claim,
            label: attempt.label,
            seats: (0..count).map(|_| desk.seat(attempt.owner.lease)).collect(),
            order: desk.members.order(attempt.key.as_str()),
            held: None,
            step: None,
            blocked_since: None,
            ttl,
            is_over: false,
            timer: None,
        }
    }

    /// Begins a step. What an earlier one still waits for does not count for this one.
    pub(super) fn begin(
        &mut self,
        now: Time,
        id: Option<AttemptId>,
        kind: Kind,
        desk: &mut Desk,
    ) -> &Step {
        for member in 0..self.seats.len() {
            self.abandon(member, desk);
            self.seats[member].answer = None;
        }
        self.step.insert(Step {
            id,
            kind,
            since: now,
            deadline: now + desk.patience(self.ttl),
            grace_until: None,
            is_grace_over: false,
            proposal: desk.members.propose(now),
        })
    }

    /// Lets the servers have their whole time again, for further requests of the step.
    pub(super) fn go_on(&mut self, now: Time, desk: &Desk) {
        if let Some(step) = &mut self.step {
            step.deadline = now + desk.patience(self.ttl);
        }
    }

    /// Counts the servers as silent that have not answered in time.
    pub(super) fn on_time(&mut self, now: Time, desk: &mut Desk) {
        if self.step.as_ref().is_none_or(|step| step.deadline > now) {
            return;
        }
        for member in 0..self.seats.len() {
            if self.seats[member].asked.is_some() {
                self.abandon(member, desk);
                self.seats[member].answer = Some(Answer::Late);
                desk.members.note_silence(member, None);
            }
        }
    }

    /// Returns when to look at the step again if no answer comes.
    pub(super) fn wakeup(&self) -> Option<Time> {
        let step = self.step.as_ref()?;
        let grace = step.grace_until.filter(|_| !step.is_grace_over);
        let grace = grace.unwrap_or(Time::NEVER);
        Some(step.deadline.min(grace))
    }

    /// Returns the server whose queue is used: the first one that is of use.
    pub(super) fn first(&self, desk: &Desk) -> Option<usize> {
        let is_usable = |member: &&usize| {
            let seat = &self.seats[**member];
            !seat.has_failed() && (seat.answer.is_some() || desk.members.answers(**member))
        };
        let any = |member: &&usize| !self.seats[**member].has_failed();
        let mut order = self.order.iter();
        order
            .clone()
            .find(is_usable)
            .or_else(|| order.find(any))
            .copied()
    }

    /// Returns whether the first server has not answered although it may: what it says of waiters matters. It
    /// has twice as much time as the others needed, and a moment; then it counts as silent.
    pub(super) fn is_first_worth_waiting_for(&mut self, now: Time, desk: &mut Desk) -> bool {
        let Some(first) = self.first(desk).filter(|it| self.seats[*it].is_awaited()) else {
            return false;
        };
        let Some(step) = self.step.as_mut().filter(|_| desk.members.answers(first)) else {
            return false;
        };
        let took = now.since(step.since);
        let until = *step.grace_until.get_or_insert(now + took * 2 + MOMENT);
        if now >= until {
            step.is_grace_over = true;
            desk.members.note_silence(first, None);
        }
        !step.is_grace_over
    }

    /// Returns whether it has nothing, and waits for nothing.
    pub(super) fn has_nothing(&self) -> bool {
        self.step.is_none() && self.held.is_none() && !self.seats.iter().any(|seat| seat.touched)
    }

    pub(super) fn count(&self, is_counted: impl Fn(&Seat) -> bool) -> usize {
        self.seats.iter().filter(|seat| is_counted(seat)).count()
    }

    /// Remembers that others have the key or wait for it, for as long as a waiter takes to ask again.
    pub(super) fn note_contention(&self, now: Time, desk: &mut Desk) {
        // Two fifths of the claim window are the claim.
        desk.note_busy(&self.key, now, now + self.claim.ttl * 5 / 2);
    }

    /// Ends the step, and answers the pool's attempt.
    pub(super) fn finish(&mut self, outcome: Outcome, desk: &mut Desk) {
        if let Some(id) = self.step.take().and_then(|step| step.id) {
            desk.tell(Event::Done(id, outcome));
        }
    }

    /// Ends the step because too few servers are of use.
    pub(super) fn fail(&mut self, desk: &mut Desk) {
        let members = &desk.members;
        let mut is_unknown = false;
        let mut said = Vec::new();
        for (member, seat) in self.seats.iter().enumerate() {
            let (error, unknown) = match &seat.answer {
                Some(Answer::Failed { error, unknown }) => (Some(error), *unknown),
                Some(Answer::Late) => (None, true),
                _ => continue,
            };
            is_unknown |= unknown;
            said.push((members.name(member), error));
        }
        let error = no_majority(members.count(), said);
        let failure = if is_unknown {
            Failure::outcome_unknown(error)
        } else {
            Failure::not_executed(error)
        };
        self.finish(Err(failure), desk);
    }
}
