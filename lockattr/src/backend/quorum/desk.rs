//! What the ballots of a process have in common: the servers, the numbers, and what is to be sent.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::leavings::Leavings;
use super::members::Members;
use super::seat::Seat;
use crate::backend::{Attempt, AttemptId, Event, LeaseId, OwnerIds};
use crate::clock::Time;
use crate::key::Key;

/// So many keys are remembered as contended before those are forgotten whose time is over.
const MANY: usize = 1024;

/// What the driver of the ballots is to do.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub(super) enum Effect {
    /// Send it to this server.
    Submit(usize, Attempt),
    /// Its answer is not waited for any longer.
    Overdue(usize, AttemptId),
    /// Tell the pool.
    Tell(Event),
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct Desk {
    pub(super) members: Members,
    /// How long one answer of a server may take.
    patience: Duration,
    ids: OwnerIds,
    last_seat: u64,
    last_number: u64,
    pub(super) effects: VecDeque<Effect>,
    /// The pool's lease that each seat is for, by the number in the seat's owner id.
    pub(super) seats: HashMap<LeaseId, LeaseId>,
    pub(super) leavings: Leavings,
    /// Keys that others have, or wait for, until then.
    busy: HashMap<Key, Time>,
}

impl Desk {
    pub(super) fn new(members: Members, patience: Duration, ids: OwnerIds) -> Self {
        Self {
            members,
            patience,
            ids,
            last_seat: 0,
            last_number: 0,
            effects: VecDeque::new(),
            seats: HashMap::new(),
            leavings: Leavings::default(),
            busy: HashMap::new(),
        }
    }

    /// Makes a seat under an owner id that no server has seen.
    pub(super) fn seat(&mut self, ballot: LeaseId) -> Seat {
        self.last_seat += 1;
        let lease = LeaseId(self.last_seat);
        self.seats.insert(lease, ballot);
        Seat::new(self.ids.first(lease))
    }

    pub(super) fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Returns how long a server may take for an answer where a lease lasts so long: a step has several
    /// requests, and has to end within the pool's patience.
    pub(super) fn patience(&self, ttl: Duration) -> Duration {
        self.patience.min(ttl / 8)
    }

    pub(super) fn note_busy(&mut self, key: &Key, now: Time, until: Time) {
        if self.busy.len() >= MANY {
            self.busy.retain(|_, until| *until > now);
        }
        self.busy.insert(key.clone(), until);
    }

    pub(super) fn is_busy(&self, key: &Key, now: Time) -> bool {
        self.busy.get(key).is_some_and(|until| *until > now)
    }

    /// A server answers again: gives back what it may have kept.
    pub(super) fn give_back_again(&mut self, now: Time, member: usize) {
        for release in self.leavings.of_member(now, member) {
            self.effects.push_back(Effect::Submit(member, release));
        }
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.effects.push_back(Effect::Tell(event));
    }
}

/// For the model, as that of the ballots. All effects have been performed.
#[cfg(test)]
impl std::hash::Hash for Desk {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.members.hash(state);
        self.last_seat.hash(state);
        self.last_number.hash(state);
        self.leavings.hash(state);
        crate::backend::hash_unordered(&self.busy, state);
    }
}
