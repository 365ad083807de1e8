//! How a ballot gives everything back.

use std::time::Duration;

use super::ballot::{Ballot, Kind};
use super::desk::Desk;
use super::seat::{Answer, Seat, What};
use crate::backend::{AttemptId, Reply};
use crate::clock::Time;

impl Ballot {
    /// Asks each server that may have something of this owner.
    pub(super) fn release(
        &mut self,
        now: Time,
        id: AttemptId,
        (leave_queue, tombstone, keep): (bool, Option<Duration>, Option<Duration>),
        desk: &mut Desk,
    ) {
        self.begin(now, Some(id), Kind::Release, desk);
        self.held = None;
        for member in self.order.clone() {
            if self.seats[member].touched {
                let op = self.release_of(member, leave_queue, tombstone, keep);
                self.ask(now, member, (What::Release, op, 0), desk);
            }
        }
    }

    /// If the release does not arrive at a minority, what is there ends by its ttl, or by a claim.
    pub(super) fn judge_release(&mut self, now: Time, desk: &mut Desk) {
        let awaited = self.count(Seat::is_awaited);
        let minority = desk.members.count() - desk.members.majority();
        let failed = self.count(Seat::has_failed);
        let released = self.count(|seat| matches!(seat.answer, Some(Answer::Released)));
        let is_enough = released > 0 && failed + awaited <= minority;
        if is_enough || failed + awaited == 0 {
            if awaited > 0 && self.is_first_worth_waiting_for(now, desk) {
                return;
            }
            self.is_over = true;
            self.finish(Ok(Reply::Released), desk);
        } else if awaited == 0 {
            self.fail(desk);
        }
    }
}
