//! How a ballot keeps its majority: renewals, and more tokens.

use std::ops::Range;
use std::time::Duration;

use super::agreement::Agreement;
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
        let least = proposal.max(self.held.as_ref().map_or(0, |held| held.end));
        for member in self.order.clone() {
            if counts(&self.seats[member]) {
                let op = Op::Reserve { tokens };
                self.ask(now, member, (What::Reserve, op, least), desk);
            }
        }
    }

    pub(super) fn judge_reservation(&mut self, now: Time, desk: &mut Desk) {
        let mut greatest: Option<Range<u64>> = None;
        let mut is_contended = false;
        let mut reserved = Vec::new();
        for (member, seat) in self.seats.iter().enumerate() {
            if let Some(Answer::Reserved { tokens, contended }) = &seat.answer
                && counts(seat)
            {
                reserved.push(member);
                is_contended |= contended;
                if greatest.as_ref().is_none_or(|it| it.start < tokens.start) {
                    greatest = Some(tokens.clone());
                }
            }
        }
        let Some(tokens) = greatest.filter(|_| reserved.len() >= desk.members.majority()) else {
            return self.lose_if_hopeless(desk);
        };
        match self.agree(now, &reserved, tokens.end - 1, desk) {
            Agreement::Reached => {
                let start = self.held.as_ref().map_or(tokens.start, |held| held.start);
                self.held = Some(start..tokens.end);
                let granted = Granted::new(tokens, is_contended);
                self.finish(Ok(Reply::Reserved(granted)), desk);
            }
            Agreement::Awaited => {}
            Agreement::OutOfReach => self.fail(desk),
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
