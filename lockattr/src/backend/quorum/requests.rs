//! What a ballot asks of the servers, and what it gives back.

use std::time::Duration;

use super::ballot::Ballot;
use super::desk::{Desk, Effect};
use super::seat::{Asked, What};
use crate::backend::{Attempt, AttemptId, IfHeld, Op};
use crate::clock::Time;
use crate::mode::Mode;
use crate::timing;

impl Ballot {
    pub(super) fn ask(
        &mut self,
        now: Time,
        member: usize,
        (what, op, least_token): (What, Op, u64),
        desk: &mut Desk,
    ) {
        self.abandon(member, desk);
        let number = desk.number();
        let seat = &mut self.seats[member];
        let was_touched = seat.touched;
        if let Op::Acquire { if_held, .. } = op {
            seat.touched = true;
            seat.queued |= if_held == IfHeld::Queue;
        }
        if what != What::Raise {
            seat.answer = None;
        }
        seat.asked = Some(Asked {
            number,
            sent_at: now,
            what,
            was_touched,
        });
        let attempt = self.attempt(member, number, op, least_token);
        desk.effects.push_back(Effect::Submit(member, attempt));
    }

    pub(super) fn ask_to_acquire(
        &mut self,
        now: Time,
        member: usize,
        (ttl, if_held, least): (Duration, IfHeld, u64),
        desk: &mut Desk,
    ) {
        let op = Op::Acquire { ttl, if_held };
        self.ask(now, member, (What::Acquire { ttl }, op, least), desk);
    }

    fn attempt(&self, member: usize, number: u64, op: Op, least_token: u64) -> Attempt {
        let owner = self.seats[member].owner.clone();
        Attempt {
            id: AttemptId {
                lease: owner.lease,
                number,
            },
            key: self.key.clone(),
            owner,
            claim: self.claim,
            // A quorum has no modes.
            mode: Mode::Exclusive,
            label: self.label,
            op,
            confirmation: None,
            least_token,
        }
    }

    /// Stops waiting for the answer of a server.
    pub(super) fn abandon(&mut self, member: usize, desk: &mut Desk) {
        let seat = &mut self.seats[member];
        if let Some(asked) = seat.asked.take() {
            seat.unsure |= matches!(asked.what, What::Acquire { .. });
            let id = AttemptId {
                lease: seat.owner.lease,
                number: asked.number,
            };
            desk.effects.push_back(Effect::Overdue(member, id));
        }
    }

    /// Gives back what a server may have, and goes on there under another owner id.
    pub(super) fn give_back(&mut self, now: Time, member: usize, desk: &mut Desk) {
        if !self.seats[member].touched {
            return;
        }
        let op = self.release_of(member, false, None, None);
        let answer = self.seats[member].answer.take();
        self.ask(now, member, (What::Release, op, 0), desk);
        self.leave(now, member, desk);
        self.seats[member] = desk.seat(self.owner.lease);
        self.seats[member].answer = answer;
    }

    pub(super) fn give_all_back(&mut self, now: Time, desk: &mut Desk) {
        for member in 0..self.seats.len() {
            self.give_back(now, member, desk);
        }
        self.held = None;
        self.blocked_since = None;
    }

    /// Forgets the owner that a server knows. What it may have is given back until it confirms that.
    pub(super) fn leave(&mut self, now: Time, member: usize, desk: &mut Desk) {
        desk.seats.remove(&self.seats[member].owner.lease);
        if self.seats[member].touched {
            let op = self.release_of(member, false, None, None);
            let number = desk.number();
            let release = self.attempt(member, number, op, 0);
            desk.leavings.note(now, member, release, self.ttl);
        }
    }

    /// Returns the release at one server, whose acquire may still be on its way.
    pub(super) fn release_of(
        &mut self,
        member: usize,
        leave_queue: bool,
        tombstone: Option<Duration>,
        keep: Option<Duration>,
    ) -> Op {
        let seat = &mut self.seats[member];
        let is_acquiring = |asked: Asked| matches!(asked.what, What::Acquire { .. });
        seat.unsure |= seat.asked.is_some_and(is_acquiring);
        Op::Release {
            leave_queue: leave_queue || seat.queued || seat.unsure,
            tombstone: if seat.unsure {
                Some(timing::tombstone_life(self.ttl).max(tombstone.unwrap_or_default()))
            } else {
                tombstone
            },
            keep,
        }
    }
}
