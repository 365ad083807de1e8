//! All leases of a process on a quorum: no I/O, and no clock of its own.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::ballot::{Ballot, Kind};
use super::desk::{Desk, Effect};
use super::members::Members;
use crate::backend::{
    Attempt, AttemptId, Event, Granted, LeaseId, Op, Outcome, OwnerId, OwnerIds, Reply,
};
use crate::clock::Time;

#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct Ballots {
    pub(super) desk: Desk,
    /// By the number of the pool's lease.
    by_lease: HashMap<LeaseId, Ballot>,
    /// When to look at each ballot again.
    timers: BTreeSet<(Time, LeaseId)>,
    /// The owners that gave up, and until when an acquire of theirs may still come.
    tombstones: HashMap<OwnerId, Time>,
}

impl Ballots {
    /// `patience` is how long one answer of a server may take. `ids` are for the servers, and no other pool
    /// uses them.
    pub(super) fn new(members: Members, patience: Duration, ids: OwnerIds) -> Self {
        Self {
            desk: Desk::new(members, patience, ids),
            by_lease: HashMap::new(),
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
        self.by_lease.is_empty()
    }

    pub(super) fn submit(&mut self, now: Time, attempt: &Attempt) {
        let Attempt { id, owner, .. } = attempt;
        self.tombstones.retain(|_, until| *until > now);
        let has_given_up = self.tombstones.contains_key(owner);
        if let Op::Acquire { ttl, .. } = attempt.op
            && !has_given_up
        {
            self.begin_unless_begun(now, attempt, ttl);
        }
        let (desk, lease) = (&mut self.desk, owner.lease);
        let present = self.by_lease.get_mut(&lease);
        let present = present.filter(|ballot| ballot.owner == *owner);
        match (attempt.op, present) {
            (Op::Acquire { ttl, if_held }, Some(ballot))
                if ballot.held.is_some() || !has_given_up =>
            {
                ballot.acquire(now, (*id, ttl, if_held), desk);
            }
            (Op::Acquire { .. }, _) => desk.tell(Event::Done(*id, Ok(Reply::Tombstoned))),
            (Op::Renew { ttl }, Some(ballot)) if ballot.held.is_some() => {
                ballot.renew(now, *id, ttl, desk);
            }
            (Op::Reserve { tokens }, Some(ballot)) if ballot.held.is_some() => {
                ballot.reserve(now, *id, tokens, desk);
            }
            (Op::Renew { .. } | Op::Reserve { .. }, _) => {
                desk.tell(Event::Done(*id, Ok(Reply::Gone)));
            }
            (
                Op::Release {
                    leave_queue,
                    tombstone,
                    keep,
                },
                present,
            ) => {
                if let Some(life) = tombstone {
                    self.tombstones.insert(owner.clone(), now + life);
                }
                match present {
                    Some(ballot) => ballot.release(now, *id, (leave_queue, tombstone, keep), desk),
                    None => desk.tell(Event::Done(*id, Ok(Reply::Released))),
                }
            }
        }
        self.judge(now, lease);
    }

    /// The pool has one owner of a lease at a time.
    fn begin_unless_begun(&mut self, now: Time, attempt: &Attempt, ttl: Duration) {
        let Attempt { owner, .. } = attempt;
        let present = self.by_lease.get(&owner.lease);
        if present.is_none_or(|ballot| ballot.owner != *owner) {
            self.end(now, owner.lease);
            let new = Ballot::new(attempt, ttl, &mut self.desk);
            self.by_lease.insert(owner.lease, new);
        }
    }

    /// Forgets a ballot. What servers may still have of it is given back.
    fn end(&mut self, now: Time, lease: LeaseId) {
        if let Some(mut ballot) = self.by_lease.remove(&lease) {
            if let Some(at) = ballot.timer {
                self.timers.remove(&(at, lease));
            }
            for member in 0..ballot.seats.len() {
                ballot.leave(now, member, &mut self.desk);
            }
        }
    }

    /// A request to a server has ended.
    pub(super) fn on_outcome(&mut self, now: Time, member: usize, id: AttemptId, outcome: Outcome) {
        if let Ok(Reply::Released) = outcome {
            self.desk.leavings.confirm(id.lease);
        }
        let error = outcome.as_ref().err().map(|failure| failure.error.clone());
        let Some(lease) = self.desk.seats.get(&id.lease).copied() else {
            return;
        };
        let Some(ballot) = self.by_lease.get_mut(&lease) else {
            return;
        };
        let Some(took) = ballot.on_outcome(now, member, id, outcome) else {
            return;
        };
        if error.is_some() {
            self.desk.members.note_silence(member, error.as_ref());
        } else if self.desk.members.note_answer(member, took) {
            self.desk.give_back_again(now, member);
        }
        self.judge(now, lease);
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
        let desk = &mut self.desk;
        let lease = desk.seats.get(&owner.lease).copied();
        let present = lease.and_then(|lease| Some((lease, self.by_lease.get_mut(&lease)?)));
        let Some((lease, ballot)) = present else {
            // The release of its place did not arrive.
            let release = desk.leavings.of_owner(owner.lease);
            let again = release.map(|release| Effect::Submit(member, release));
            return desk.effects.extend(again);
        };
        ballot.on_handoff(member, granted, since, ttl);
        match ballot.step.as_ref().map(|step| (step.kind, step.proposal)) {
            None if ballot.held.is_none() => ballot.gather(now, desk),
            // What is handed over lasts shorter than what was asked for.
            Some((Kind::Acquire { if_held, .. }, proposal))
                if ballot.seats[member].asked.is_none() =>
            {
                let ttl = ballot.ttl;
                ballot.ask_to_acquire(now, member, (ttl, if_held, proposal), desk);
            }
            _ => {}
        }
        self.judge(now, lease);
    }

    /// The pool no longer waits for the answer to this attempt.
    pub(super) fn overdue(&mut self, id: AttemptId) {
        let ballot = self.by_lease.get_mut(&id.lease);
        let step = ballot.and_then(|ballot| ballot.step.as_mut());
        if let Some(step) = step.filter(|step| step.id == Some(id)) {
            step.id = None;
        }
    }

    pub(super) fn on_time(&mut self, now: Time) {
        while let Some((_, lease)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            if let Some(ballot) = self.by_lease.get_mut(&lease) {
                ballot.on_time(now, &mut self.desk);
            }
            self.judge(now, lease);
        }
    }

    /// Looks at what a ballot has now.
    fn judge(&mut self, now: Time, lease: LeaseId) {
        let Some(ballot) = self.by_lease.get_mut(&lease) else {
            return;
        };
        let desk = &mut self.desk;
        ballot.admit(now, desk);
        match ballot.step.as_ref().map(|step| step.kind) {
            Some(Kind::Acquire { .. }) => ballot.judge_acquire(now, desk),
            Some(Kind::Gather) => ballot.judge_gather(now, desk),
            Some(Kind::Renew) => ballot.judge_renewal(now, desk),
            Some(Kind::Reserve) => ballot.judge_reservation(now, desk),
            Some(Kind::Release) => ballot.judge_release(now, desk),
            None => {}
        }
        if let Some(before) = ballot.timer.take() {
            self.timers.remove(&(before, lease));
        }
        if ballot.is_over || ballot.has_nothing() {
            return self.end(now, lease);
        }
        if let Some(at) = ballot.wakeup() {
            // What was looked at just now has to be looked at later.
            let at = at.max(now + Duration::from_micros(100));
            ballot.timer = Some(at);
            self.timers.insert((at, lease));
        }
    }
}

/// For the model: what distinguishes two processes. What follows from it is left out.
#[cfg(test)]
impl std::hash::Hash for Ballots {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.desk.hash(state);
        crate::backend::hash_unordered(&self.by_lease, state);
        crate::backend::hash_unordered(&self.tombstones, state);
    }
}

#[cfg(test)]
mod tests;
