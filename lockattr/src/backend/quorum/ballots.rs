//! All leases of a process on a quorum: no I/O, and no clock of its own.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::ballot::{Ballot, Kind};
use super::desk::{Desk, Effect};
use super::members::Members;
use crate::backend::{Attempt, AttemptId, Event, Granted, Op, Outcome, OwnerId, OwnerIds, Reply};
use crate::clock::Time;

#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct Ballots {
    pub(super) desk: Desk,
    by_number: HashMap<u64, Ballot>,
    last_ballot: u64,
    /// By the owner id that the pool uses.
    owners: HashMap<OwnerId, u64>,
    /// When to look at each ballot again.
    timers: BTreeSet<(Time, u64)>,
    /// The owners that gave up, and until when an acquire of theirs may still come.
    tombstones: HashMap<OwnerId, Time>,
}

impl Ballots {
    /// `patience` is how long one answer of a server may take. `ids` are for the servers, and no other pool
    /// uses them.
    pub(super) fn new(members: Members, patience: Duration, ids: OwnerIds) -> Self {
        Self {
            desk: Desk::new(members, patience, ids),
            by_number: HashMap::new(),
            last_ballot: 0,
            owners: HashMap::new(),
            timers: BTreeSet::new(),
            tombstones: HashMap::new(),
        }
    }

    /// Returns what is to be done next.
    pub(super) fn next_effect(&mut self) -> Option<Effect> {
        self.desk.effects.pop_front()
    }

    /// Returns when [`on_time`](Self::on_time) is due.
    pub(super) fn wakeup(&self) -> Option<Time> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Returns whether no owner has or wants anything.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.by_number.is_empty()
    }

    pub(super) fn submit(&mut self, now: Time, attempt: &Attempt) {
        let Attempt { id, owner, op, .. } = attempt;
        self.tombstones.retain(|_, until| *until > now);
        let number = self.owners.get(owner).copied();
        let present = number.and_then(|number| self.by_number.get_mut(&number));
        let is_held = present.as_ref().is_some_and(|it| it.held.is_some());
        if let Op::Release {
            tombstone: Some(life),
            ..
        } = op
        {
            self.tombstones.insert(owner.clone(), now + *life);
        }
        let answered = match (op, present) {
            (Op::Acquire { .. }, _) if !is_held && self.tombstones.contains_key(owner) => {
                Reply::Tombstoned
            }
            (Op::Acquire { ttl, if_held }, _) => {
                let ask = (*id, *ttl, *if_held);
                let number = number.unwrap_or_else(|| self.begin(attempt, *ttl));
                if let Some(ballot) = self.by_number.get_mut(&number) {
                    ballot.acquire(now, ask, &mut self.desk);
                }
                return self.judge(now, number);
            }
            (Op::Renew { ttl }, Some(ballot)) if is_held => {
                ballot.renew(now, *id, *ttl, &mut self.desk);
                let number = ballot.number;
                return self.judge(now, number);
            }
            (Op::Reserve { tokens }, Some(ballot)) if is_held => {
                ballot.reserve(now, *id, *tokens, &mut self.desk);
                let number = ballot.number;
                return self.judge(now, number);
            }
            (Op::Renew { .. } | Op::Reserve { .. }, _) => Reply::Gone,
            (
                Op::Release {
                    leave_queue,
                    tombstone,
                },
                Some(ballot),
            ) => {
                let how = (*leave_queue, *tombstone);
                ballot.release(now, *id, how, &mut self.desk);
                let number = ballot.number;
                return self.judge(now, number);
            }
            (Op::Release { .. }, None) => Reply::Released,
        };
        self.desk.tell(Event::Done(*id, Ok(answered)));
    }

    fn begin(&mut self, attempt: &Attempt, ttl: Duration) -> u64 {
        self.last_ballot += 1;
        let number = self.last_ballot;
        self.owners.insert(attempt.owner.clone(), number);
        let new = Ballot::new(number, attempt, ttl, &mut self.desk);
        self.by_number.insert(number, new);
        number
    }

    /// A request to a server has ended.
    pub(super) fn on_outcome(&mut self, now: Time, member: usize, id: AttemptId, outcome: Outcome) {
        if let Ok(Reply::Released) = outcome {
            self.desk.leavings.confirm(id.lease);
        }
        let number = self.desk.seats.get(&id.lease).copied();
        let Some(ballot) = number.and_then(|number| self.by_number.get_mut(&number)) else {
            return;
        };
        let is_ok = outcome.is_ok();
        let Some(took) = ballot.on_outcome(now, member, id, outcome) else {
            return;
        };
        ballot.admit(now, &self.desk);
        if !is_ok {
            self.desk.members.is_silent(member);
        } else if self.desk.members.has_answered(member, took) {
            self.desk.give_back_again(now, member);
        }
        let number = ballot.number;
        self.judge(now, number);
    }

    /// A server made this owner the holder there.
    pub(super) fn on_handoff(
        &mut self,
        now: Time,
        member: usize,
        owner: &OwnerId,
        granted: Granted,
        (since, ttl): (Time, Duration),
    ) {
        let number = self.desk.seats.get(&owner.lease).copied();
        let Some(ballot) = number.and_then(|number| self.by_number.get_mut(&number)) else {
            // The release of its place did not arrive.
            let release = self.desk.leavings.of_owner(owner.lease);
            let again = release.map(|release| Effect::Submit(member, release));
            return self.desk.effects.extend(again);
        };
        ballot.on_handoff(member, granted, since, ttl);
        ballot.admit(now, &self.desk);
        match ballot.step.as_ref().map(|step| (step.kind, step.proposal)) {
            None if ballot.held.is_none() => ballot.gather(now, &mut self.desk),
            // What is handed over lasts shorter than what was asked for.
            Some((Kind::Acquire { if_held, .. }, least))
                if ballot.seats[member].asked.is_none() =>
            {
                let ttl = ballot.ttl;
                ballot.ask_to_acquire(now, member, (ttl, if_held, least), &mut self.desk);
            }
            _ => {}
        }
        let number = ballot.number;
        self.judge(now, number);
    }

    /// The pool no longer waits for the answer to this attempt.
    pub(super) fn overdue(&mut self, id: AttemptId) {
        let waits = self
            .by_number
            .values_mut()
            .filter_map(|it| it.step.as_mut());
        for step in waits.filter(|step| step.id == Some(id)) {
            step.id = None;
        }
    }

    pub(super) fn on_time(&mut self, now: Time) {
        while let Some((at, number)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            let Some(ballot) = self.by_number.get_mut(&number) else {
                self.timers.remove(&(at, number));
                continue;
            };
            ballot.on_time(now, &mut self.desk);
            self.judge(now, number);
        }
    }

    /// Looks at what a ballot has now.
    fn judge(&mut self, now: Time, number: u64) {
        let Some(ballot) = self.by_number.get_mut(&number) else {
            return;
        };
        let desk = &mut self.desk;
        match ballot.step.as_ref().map(|step| step.kind) {
            Some(Kind::Acquire { .. }) => ballot.judge_acquire(now, desk),
            Some(Kind::Gather) => ballot.judge_gather(now, desk),
            Some(Kind::Renew) => ballot.judge_renewal(now, desk),
            Some(Kind::Reserve) => ballot.judge_reservation(now, desk),
            Some(Kind::Release) => ballot.judge_release(now, desk),
            None => {}
        }
        if let Some(before) = ballot.timer.take() {
            self.timers.remove(&(before, number));
        }
        if ballot.is_over || ballot.has_nothing() {
            for member in 0..ballot.seats.len() {
                ballot.leave(now, member, desk);
            }
            self.owners.remove(&ballot.owner);
            self.by_number.remove(&number);
            return;
        }
        if let Some(at) = ballot.wakeup() {
            // What was looked at just now has to be looked at later.
            let at = at.max(now + Duration::from_micros(100));
            ballot.timer = Some(at);
            self.timers.insert((at, number));
        }
    }
}

/// For the model: what distinguishes two processes. What follows from it is left out.
#[cfg(test)]
impl std::hash::Hash for Ballots {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.desk.hash(state);
        crate::backend::hash_unordered(&self.by_number, state);
        crate::backend::hash_unordered(&self.tombstones, state);
    }
}

#[cfg(test)]
mod tests;
