//! How a ballot keeps its majority: renewals, and more tokens.

use std::ops::Range;
use std::time::Duration;

use super::ballot::{Ballot, Kind};
use super::desk::Desk;
use super::seat::{Answer, Seat, What};
use crate::backend::{AttemptId, Granted, IfHeld, Op, Reply};
use crate::clock::Time;

impl Ballot {
    /// Prolongs the lease everywhere, and takes it where others had it or a server was away.
    pub(super) fn renew(&mut self, now: Time, id: AttemptId, ttl: Duration, desk: &mut Desk) {
        self.ttl = ttl;
        self.begin(now, Some(id), Kind::Renew, desk);
        let least = self.held.as_ref().map_or(0, |held| held.end);
        for member in self.order.clone() {
            let seat = &self.seats[member];
            if seat.vote.is_some() {
                let what = What::Renew { ttl };
                self.ask(now, member, (what, Op::Renew { ttl }, 0), desk);
            } else if !seat.queued {
                self.ask_to_acquire(now, member, (ttl, IfHeld::Refuse, least), desk);
            }
        }
    }

    pub(super) fn judge_renewal(&mut self, now: Time, desk: &mut Desk) {
        let majority = desk.members.majority();
        let is_kept = |seat: &Seat| counts(seat) && matches!(seat.answer, Some(Answer::Renewed));
        if self.count(is_kept) >= majority {
            if self.is_first_worth_waiting_for(now, desk) {
                return;
            }
            let contended = self.is_contended();
            return self.finish(Ok(Reply::Renewed { contended }), desk);
        }
        self.lose_if_hopeless(desk);
    }

    pub(super) fn reserve(&mut self, now: Time, id: AttemptId, tokens: u32, desk: &mut Desk) {
        let proposal = self.begin(now, Some(id), Kind::Reserve, desk).proposal;
        let least = self
            .held
            .as_ref()
            .map_or(proposal, |held| proposal.max(held.end));
        if let Some(step) = &mut self.step {
            step.proposal = least;
        }
        for member in self.order.clone() {
            if counts(&self.seats[member]) {
                let op = Op::Reserve { tokens };
                self.ask(now, member, (What::Reserve, op, least), desk);
            }
        }
    }

    pub(super) fn judge_reservation(&mut self, now: Time, desk: &mut Desk) {
        let majority = desk.members.majority();
        let reserved = |seat: &Seat| match &seat.answer {
            Some(Answer::Reserved { tokens, contended }) if counts(seat) => {
                Some((tokens.clone(), *contended))
            }
            _ => None,
        };
        let all: Vec<(Range<u64>, bool)> = self.seats.iter().filter_map(reserved).collect();
        let greatest = all
            .iter()
            .map(|(tokens, _)| tokens)
            .max_by_key(|it| it.start);
        let Some(tokens) = greatest.cloned().filter(|_| all.len() >= majority) else {
            return self.lose_if_hopeless(desk);
        };
        let last = tokens.end - 1;
        let is_agreed = |seat: &Seat| reserved(seat).is_some() && seat.top >= last;
        if self.count(is_agreed) >= majority {
            let contended = all.iter().any(|(_, contended)| *contended);
            let start = self.held.as_ref().map_or(tokens.start, |held| held.start);
            self.held = Some(start..tokens.end);
            let granted = Granted::new(tokens, contended);
            return self.finish(Ok(Reply::Reserved(granted)), desk);
        }
        for member in self.order.clone() {
            let seat = &self.seats[member];
            if reserved(seat).is_some() && seat.top < last && seat.asked.is_none() {
                self.go_on(now, desk);
                self.raise(now, member, last, desk);
            }
        }
    }

    /// Counts each server that has the lease while a majority is held: as no other owner has had a majority until
    /// now, none has one as long as a majority of these servers has the lease.
    pub(super) fn admit(&mut self, now: Time, desk: &Desk) {
        let is_kept = |seat: &Seat| seat.live_vote(now).is_some_and(|vote| vote.counts);
        if self.held.is_none() || self.count(is_kept) < desk.members.majority() {
            return;
        }
        for vote in self.seats.iter_mut().filter_map(|seat| seat.vote.as_mut()) {
            vote.counts |= vote.is_live(now);
        }
    }

    /// Ends the step once no majority can be had any more.
    fn lose_if_hopeless(&mut self, desk: &mut Desk) {
        let majority = desk.members.majority();
        let has_it = |seat: &Seat| {
            let is_kept = matches!(seat.answer, Some(Answer::Renewed | Answer::Reserved { .. }));
            counts(seat) && (is_kept || seat.is_awaited())
        };
        if self.count(has_it) >= majority {
            return;
        }
        if self.count(counts) < majority {
            self.held = None;
            return self.finish(Ok(Reply::Gone), desk);
        }
        self.fail(desk);
    }
}

fn counts(seat: &Seat) -> bool {
    seat.vote.as_ref().is_some_and(|vote| vote.counts)
}
