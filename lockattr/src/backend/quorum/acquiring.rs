//! How a ballot gets a majority.
//!
//! All servers are asked at once, and one of them, the first in the key's order that answers, keeps the
//! queue. An owner that is refused there gives the other votes back and waits in its queue; the owner that has
//! it waits at the servers that others still have. So of two that split the votes one goes on at once, and no
//! owner waits in two queues in different orders. Where processes disagree on which server is the first, their
//! claims run out, and they begin anew.

use std::ops::Range;
use std::time::Duration;

use super::agreement::Agreement;
use super::ballot::{Ballot, Kind, Step};
use super::desk::Desk;
use super::seat::{Answer, Seat};
use crate::backend::{AttemptId, Event, Granted, IfHeld, Reply};
use crate::clock::Time;

impl Ballot {
    pub(super) fn acquire(
        &mut self,
        now: Time,
        (id, ttl, if_held): (AttemptId, Duration, IfHeld),
        desk: &mut Desk,
    ) {
        if let Some(step) = self.step.as_mut().filter(|step| step.kind == Kind::Gather) {
            // The handoff is on its way.
            step.id = Some(id);
            return;
        }
        self.ttl = ttl;
        self.start_anew_if_blocked(now, desk);
        let kind = Kind::Acquire {
            if_held,
            alone: true,
            again: false,
        };
        let least = self.begin(now, Some(id), kind, desk).proposal;
        let Some(first) = self.first(desk) else {
            return;
        };
        let is_contended = self.seats[first].queued || desk.is_busy(&self.key, now);
        if self.held.is_none() && is_contended {
            self.ask_to_acquire(now, first, (ttl, if_held, least), desk);
        } else {
            self.ask_the_others(now, first, if_held, desk);
        }
    }

    /// Two that have a first server each, and none the majority, would block each other for as long as they
    /// ask.
    fn start_anew_if_blocked(&mut self, now: Time, desk: &mut Desk) {
        let is_blocked = |since: Time| now.since(since) > self.claim.ttl * 2;
        if self.held.is_none() && self.blocked_since.is_some_and(is_blocked) {
            self.give_all_back(now, desk);
        }
    }

    pub(super) fn judge_acquire(&mut self, now: Time, desk: &mut Desk) {
        let Some(Step {
            kind:
                Kind::Acquire {
                    if_held,
                    alone,
                    again,
                },
            deadline,
            proposal,
            ..
        }) = self.step
        else {
            return;
        };
        let granted: Vec<usize> = self.all(|ballot, member| ballot.seats[member].is_granted());
        let majority = desk.members.majority();
        let Some(first) = self.first(desk) else {
            self.give_all_back(now, desk);
            return self.fail(desk);
        };
        let has_majority = granted.len() >= majority;
        if let Some(Answer::Held { ends_in }) = self.seats[first].answer
            && !(has_majority && self.held.is_some())
        {
            if if_held == IfHeld::Queue && !self.seats[first].queued {
                // It became the first one because another does not answer.
                self.go_on(now, desk);
                return self.ask_to_acquire(now, first, (self.ttl, if_held, proposal), desk);
            }
            for member in self.order.clone() {
                if member != first {
                    self.give_back(now, member, desk);
                }
            }
            return self.end_refused(now, ends_in, desk);
        }
        if alone {
            if self.seats[first].is_awaited() {
                return;
            }
            // It is ours, or another is the first one now.
            self.ask_the_others(now, first, if_held, desk);
        } else if has_majority {
            if !self.seats[first].is_granted() && self.is_first_worth_waiting_for(now, desk) {
                return;
            }
            self.conclude(now, &granted, desk);
        } else if granted.len() + self.count(Seat::is_awaited) < majority {
            if self.count(Seat::has_failed) > desk.members.count() - majority {
                self.give_all_back(now, desk);
                return self.fail(desk);
            }
            if self.seats[first].is_awaited() {
                return;
            }
            if !again && self.seats[first].is_granted() {
                return self.wait_for_the_others(now, desk);
            }
            // Where the owner does not wait, owners that give their votes back to the first have a moment.
            if if_held == IfHeld::Queue || now >= deadline {
                self.blocked_since.get_or_insert(now);
                self.end_refused(now, self.longest_left(), desk);
            }
        }
    }

    fn ask_the_others(&mut self, now: Time, first: usize, if_held: IfHeld, desk: &mut Desk) {
        self.go_on(now, desk);
        let is_ours = self.seats[first].is_granted();
        let Some(step) = &mut self.step else { return };
        step.kind = Kind::Acquire {
            if_held,
            alone: false,
            again: is_ours,
        };
        let least = step.proposal;
        for member in self.order.clone() {
            let seat = &self.seats[member];
            if seat.is_granted() || seat.has_failed() {
                continue;
            }
            let if_held = match (is_ours, member == first) {
                // Its last holder is leaving there, too.
                (true, _) => IfHeld::Queue,
                (false, true) => if_held,
                (false, false) => IfHeld::Refuse,
            };
            self.ask_to_acquire(now, member, (self.ttl, if_held, least), desk);
        }
    }

    /// The first server is ours: the owners of the others give them back soon, or end.
    fn wait_for_the_others(&mut self, now: Time, desk: &mut Desk) {
        self.go_on(now, desk);
        let Some(step) = &mut self.step else { return };
        let least = step.proposal;
        if let Kind::Acquire { again, .. } = &mut step.kind {
            *again = true;
        }
        for member in self.order.clone() {
            if self.seats[member].is_held_by_another() {
                self.ask_to_acquire(now, member, (self.ttl, IfHeld::Queue, least), desk);
            }
        }
    }

    /// Returns how long the leases of others last.
    fn longest_left(&self) -> Duration {
        let left = self.seats.iter().filter_map(|seat| match seat.answer {
            Some(Answer::Held { ends_in }) => Some(ends_in),
            _ => None,
        });
        left.max().unwrap_or_default()
    }

    /// Ends the step without a lease. A waiter keeps what it has.
    fn end_refused(&mut self, now: Time, ends_in: Duration, desk: &mut Desk) {
        let waits = matches!(
            self.step,
            Some(Step {
                kind: Kind::Acquire {
                    if_held: IfHeld::Queue,
                    ..
                },
                ..
            })
        );
        if !waits {
            self.give_all_back(now, desk);
        }
        self.held = None;
        self.note_contention(now, desk);
        self.finish(
            Ok(Reply::Held {
                ends_in,
                holder: None,
            }),
            desk,
        );
    }

    /// One server was handed to this owner, which waits.
    pub(super) fn gather(&mut self, now: Time, desk: &mut Desk) {
        let least = self.begin(now, None, Kind::Gather, desk).proposal;
        let ttl = self.claim.ttl;
        for member in self.order.clone() {
            let seat = &self.seats[member];
            if seat.live_vote(now).is_some() {
                let end = least + u64::from(self.claim.tokens);
                if least > 0 && seat.top < end - 1 {
                    self.raise(now, member, end - 1, desk);
                }
            } else if !seat.queued {
                // Its last holder is leaving there, too.
                self.ask_to_acquire(now, member, (ttl, IfHeld::Queue, least), desk);
            }
        }
    }

    pub(super) fn judge_gather(&mut self, now: Time, desk: &mut Desk) {
        let Some(Step {
            kind: Kind::Gather,
            deadline,
            ..
        }) = self.step
        else {
            return;
        };
        let voted: Vec<usize> = self.all(|ballot, member| {
            let seat = &ballot.seats[member];
            seat.live_vote(now).is_some() && !seat.has_failed()
        });
        if voted.len() >= desk.members.majority() {
            return self.conclude(now, &voted, desk);
        }
        let is_settled = self.count(|seat| seat.asked.is_some()) == 0;
        if is_settled || now >= deadline {
            self.blocked_since.get_or_insert(now);
            let ends_in = self.longest_left();
            self.finish(
                Ok(Reply::Held {
                    ends_in,
                    holder: None,
                }),
                desk,
            );
        }
    }

    /// The servers of a majority have granted. Lets them agree on the tokens, and then holds the lease.
    fn conclude(&mut self, now: Time, voted: &[usize], desk: &mut Desk) {
        let Some(Step { kind, proposal, .. }) = self.step else {
            return;
        };
        let Some((tokens, is_old)) = self.tokens(voted, proposal) else {
            return;
        };
        match self.agree(now, voted, tokens.end - 1, desk) {
            Agreement::Awaited => return,
            Agreement::OutOfReach => {
                self.give_all_back(now, desk);
                return self.fail(desk);
            }
            Agreement::Reached => {}
        }
        let mut ends = Vec::new();
        for (member, seat) in self.seats.iter_mut().enumerate() {
            let counts = voted.contains(&member);
            if let Some(vote) = &mut seat.vote {
                vote.counts = counts;
                ends.extend(counts.then(|| vote.ends()));
            }
        }
        let contended = self.is_contended();
        if contended {
            self.note_contention(now, desk);
        }
        self.blocked_since = None;
        // What is asked a second time has been used.
        let granted = if is_old {
            tokens.start..tokens.start + 1
        } else {
            tokens.clone()
        };
        let granted = Granted::new(granted, contended);
        self.held = Some(tokens);
        if kind != Kind::Gather {
            return self.finish(Ok(Reply::Granted(granted)), desk);
        }
        let ends_in = Duration::ZERO;
        self.finish(
            Ok(Reply::Held {
                ends_in,
                holder: None,
            }),
            desk,
        );
        // The lease lasts while a majority does.
        ends.sort_unstable_by(|one, other| other.cmp(one));
        let end = ends[desk.members.majority() - 1];
        let ttl = self.claim.ttl;
        desk.tell(Event::HandedOver {
            owner: self.owner.clone(),
            granted,
            since: end.before(ttl),
            ttl,
        });
    }

    /// Returns the tokens that these votes amount to, and whether they were granted before.
    fn tokens(&self, members: &[usize], proposal: u64) -> Option<(Range<u64>, bool)> {
        let votes = members
            .iter()
            .filter_map(|member| self.seats[*member].vote.as_ref());
        let greatest = votes.max_by_key(|vote| vote.tokens.start)?.tokens.clone();
        if let Some(held) = self
            .held
            .as_ref()
            .filter(|held| greatest.start <= held.start)
        {
            return Some((held.clone(), true));
        }
        if greatest.start > proposal {
            // A server's counter is ahead of the clocks, and grants as many tokens as it can spare.
            return Some((greatest, false));
        }
        Some((proposal..proposal + u64::from(self.claim.tokens), false))
    }

    pub(super) fn is_contended(&self) -> bool {
        self.count(|seat| seat.vote.as_ref().is_some_and(|vote| vote.contended)) > 0
    }

    fn all(&self, is_meant: impl Fn(&Self, usize) -> bool) -> Vec<usize> {
        (0..self.seats.len())
            .filter(|member| is_meant(self, *member))
            .collect()
    }
}
