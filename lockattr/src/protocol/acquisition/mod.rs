//! The life of one acquisition.
//!
//! ```text
//!  Asking ──▶ (Confirming) ──▶ Held ─▶ Releasing ─▶ Done
//!    │ ▲           │            └─▶ Lost ──▲
//!    ▼ │           │                       │
//!  Returning ◀─────┴───────────────────────┘
//! ```
//!
//! At most one attempt is in flight. An attempt whose reply is overdue is abandoned: its reply, if
//! it ever comes, is discarded, and from then on the acquisition is `uncertain`, which makes its
//! release leave a tombstone.

mod asking;
mod confirming;
mod holding;
mod patience;
mod releasing;
mod step;
mod terms;

use std::sync::Arc;
use std::time::Duration;

use super::Notice;
use super::lanes::Urgency;
use crate::backend::{
    Attempt, AttemptId, BackendError, Claim, Failure, Granted, IfHeld, Op, Outcome, OwnerId,
};
use crate::clock::Time;
use crate::key::Key;
use crate::label::Label;
use crate::{LossReason, timing};
use holding::Extension;
pub(super) use step::{AskAgain, Step};
pub(crate) use terms::Terms;

#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub(super) struct Acquisition {
    terms: Arc<Terms>,
    owner: OwnerId,
    claim: Claim,
    /// The label of the first caller: the server finds the place in its queue by it, so all
    /// attempts of an owner send the same.
    label: Label,
    response_timeout: Duration,
    asked_at: Time,
    phase: Phase,
    /// Whether the caller still wants the lease, or still holds it.
    wanted: bool,
    /// Whether an acquire may still be on its way to the server.
    uncertain: bool,
    /// Whether the service keeps a place in its queue for this owner.
    queued: bool,
    /// Number of the latest attempt.
    number: u64,
    in_flight: Option<InFlight>,
    /// When the next attempt is due.
    send_at: Option<Time>,
    /// The urgency under which the next attempt stands in its lane, if it does.
    lined_up: Option<Urgency>,
    /// The latest end of all leases requested so far, if each was granted when its request was
    /// sent.
    ends_at: Time,
    /// Unsuccessful attempts of this phase; drives the backoff.
    rounds: u32,
    last_failure: Option<BackendError>,
    /// When the present holder's lease ends.
    held_until: Option<Time>,
    /// The present holder, as text for people.
    held_by: Option<Arc<str>>,
    /// Until when others are kept out, also after the release.
    kept_until: Option<Time>,
    /// The ttl of the latest grant or renewal.
    lasts: Duration,
    /// Number of fencing tokens to reserve.
    wants_tokens: u32,
    /// When the next renewal is due. A reservation of tokens does not put it off.
    renew_at: Option<Time>,
    /// The extensions that wait for their answers.
    extensions: Vec<Extension>,
    /// The fencing token, once the lease is granted.
    token: u64,
    /// What was granted, while it is not confirmed.
    unconfirmed: Option<Granted>,
    /// How many grants were not confirmed.
    refusals: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
enum Phase {
    /// Asks for the key, repeatedly while another lease has it.
    Asking,
    /// Renews a grant, which does not count until that is confirmed. The grant ends at `valid_until`.
    Confirming {
        valid_until: Time,
    },
    /// Releases a grant that came too late to be used, or was not confirmed, to ask again under another
    /// owner id.
    Returning,
    Held {
        valid_until: Time,
        /// The end that `max_hold` sets.
        hold_until: Time,
    },
    /// The lease is over, but its holder has not finished.
    Lost(LossReason),
    Releasing {
        /// From when on nothing can be left on the server.
        until: Time,
        /// Whether the first attempt is over, so that the caller and the next one can go on.
        told: bool,
    },
    Done,
}

#[derive(Debug, Clone, Copy)]
#[cfg_attr(test, derive(Hash))]
struct InFlight {
    number: u64,
    sent_at: Time,
    overdue_at: Time,
    /// The ttl that the attempt asks for, if it is a renewal.
    renews_for: Option<Duration>,
}

impl Acquisition {
    /// Asks at once.
    pub(super) fn new(
        terms: Arc<Terms>,
        owner: OwnerId,
        claim: Claim,
        response_timeout: Duration,
        now: Time,
    ) -> Self {
        Self {
            lasts: terms.ttl,
            label: terms.label,
            terms,
            owner,
            claim,
            response_timeout,
            asked_at: now,
            phase: Phase::Asking,
            wanted: true,
            uncertain: false,
            queued: false,
            number: 0,
            in_flight: None,
            send_at: Some(now),
            lined_up: None,
            ends_at: now,
            rounds: 0,
            last_failure: None,
            held_until: None,
            held_by: None,
            kept_until: None,
            wants_tokens: 0,
            renew_at: None,
            extensions: Vec::new(),
            token: 0,
            unconfirmed: None,
            refusals: 0,
        }
    }

    pub(super) fn key(&self) -> &Key {
        &self.terms.key
    }

    pub(super) fn is_asking(&self) -> bool {
        self.phase == Phase::Asking
    }

    /// Whether the caller is gone, or is finished with its lease.
    pub(super) fn is_unwanted(&self) -> bool {
        !self.wanted
    }

    pub(super) fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// Whether there will be no lease, or the lease has ended.
    pub(super) fn is_over(&self) -> bool {
        matches!(
            self.phase,
            Phase::Lost(_) | Phase::Releasing { .. } | Phase::Done
        )
    }

    pub(super) fn is_acquire_in_flight(&self) -> bool {
        self.is_asking() && self.in_flight.is_some()
    }

    /// Returns the urgency of the next attempt, if it is due and does not yet stand in its lane
    /// under it.
    pub(super) fn line_up(&mut self, now: Time) -> Option<Urgency> {
        if self.in_flight.is_some() || self.send_at.is_none_or(|at| at > now) {
            return None;
        }
        let urgency = match self.phase {
            Phase::Confirming { .. } | Phase::Held { .. } => Urgency::Renewal,
            Phase::Returning | Phase::Releasing { .. } => Urgency::Release,
            _ => Urgency::Acquire,
        };
        (self.lined_up.replace(urgency) != Some(urgency)).then_some(urgency)
    }

    /// When [`on_timer`](Self::on_timer) is due next.
    pub(super) fn wakeup(&self) -> Time {
        let phase = match self.phase {
            Phase::Asking => self.give_up_at(),
            Phase::Confirming { valid_until } | Phase::Held { valid_until, .. } => valid_until,
            Phase::Releasing { until, .. } => until,
            Phase::Returning | Phase::Lost(_) | Phase::Done => Time::NEVER,
        };
        let attempt = match &self.in_flight {
            Some(attempt) => attempt.overdue_at,
            None if self.lined_up.is_some() => Time::NEVER,
            None => self.send_at.unwrap_or(Time::NEVER),
        };
        phase.min(attempt)
    }

    /// Returns the attempt that is due, counted as sent now; `None` when it is no longer wanted.
    pub(super) fn begin(&mut self, now: Time, has_queue: bool) -> Option<Attempt> {
        self.lined_up = None;
        if self.in_flight.is_some() || self.send_at.is_none_or(|at| at > now) {
            return None;
        }
        let op = match self.phase {
            Phase::Asking => Op::Acquire {
                ttl: self.terms.ttl,
                if_held: if has_queue && !self.tries_once() {
                    IfHeld::Queue
                } else {
                    IfHeld::Refuse
                },
            },
            Phase::Confirming { .. } => Op::Renew {
                ttl: self.terms.ttl,
            },
            Phase::Held { .. } => self.next_of_held(now)?,
            Phase::Returning | Phase::Releasing { .. } => Op::Release {
                leave_queue: self.queued || self.uncertain,
                tombstone: self
                    .uncertain
                    .then(|| timing::tombstone_life(self.terms.ttl)),
                keep: self.kept_for(now),
            },
            Phase::Lost(_) | Phase::Done => return None,
        };
        let mut renews_for = None;
        let mut confirmation = None;
        match op {
            Op::Acquire { ttl, .. } => self.ends_at = self.ends_at.max(now + ttl),
            Op::Renew { ttl } => {
                self.ends_at = self.ends_at.max(now + ttl);
                renews_for = Some(ttl);
                confirmation = self.terms.confirmation;
            }
            Op::Reserve { .. } => confirmation = self.terms.confirmation,
            Op::Release { .. } => {}
        }
        let patience = confirmation.map_or(self.patience(), |asked| {
            timing::confirmed_patience(self.patience(), asked.within)
        });
        self.number += 1;
        self.send_at = None;
        self.in_flight = Some(InFlight {
            number: self.number,
            sent_at: now,
            overdue_at: now + patience,
            renews_for,
        });
        Some(Attempt {
            id: self.attempt_id(self.number),
            key: self.key().clone(),
            owner: self.owner.clone(),
            claim: self.claim,
            mode: self.terms.mode,
            label: self.label,
            op,
            confirmation,
            least_token: 0,
        })
    }

    /// An attempt is over. Returns when it was sent, if its answer was awaited.
    pub(super) fn on_outcome(
        &mut self,
        number: u64,
        outcome: Outcome,
        step: &mut Step<'_>,
    ) -> Option<Time> {
        let attempt = self.in_flight.take_if(|attempt| attempt.number == number)?;
        self.settle(attempt, outcome, step);
        Some(attempt.sent_at)
    }

    /// Acts on the time. Returns the attempt that became overdue, if one did, and when it was sent.
    pub(super) fn on_timer(&mut self, step: &mut Step<'_>) -> Option<(AttemptId, Time)> {
        let overdue = self
            .in_flight
            .take_if(|attempt| attempt.overdue_at <= step.now);
        if let Some(attempt) = overdue {
            let error = self.overdue(step.round_trip);
            self.settle(
                attempt,
                Err(Failure {
                    maybe_executed: true,
                    passing: true,
                    error,
                }),
                step,
            );
        }
        match self.phase {
            Phase::Asking if step.now >= self.give_up_at() => self.give_up(step),
            Phase::Confirming { valid_until } if step.now >= valid_until => {
                self.confirmed_too_late(step);
            }
            Phase::Held { valid_until, .. } if step.now >= valid_until => {
                self.lose(LossReason::Expired, step);
            }
            Phase::Releasing { until, .. } if step.now >= until => {
                self.finish(Notice::ReleaseAbandoned, step);
            }
            _ => {}
        }
        overdue.map(|attempt| (self.attempt_id(attempt.number), attempt.sent_at))
    }

    /// The caller is gone, or is finished with its lease.
    pub(super) fn relinquish(&mut self, step: &mut Step<'_>) {
        self.wanted = false;
        if !matches!(self.phase, Phase::Asking) {
            self.refuse_extensions(LossReason::Released, step);
        }
        match self.phase {
            Phase::Asking => self.stop_asking(step),
            Phase::Lost(LossReason::Gone) if !self.uncertain => self.finish(Notice::Released, step),
            Phase::Confirming { .. } | Phase::Held { .. } | Phase::Lost(_) => {
                self.release(step.now);
            }
            Phase::Returning => self.go_on_releasing(),
            Phase::Releasing { .. } | Phase::Done => {}
        }
    }

    /// The same without a `min_hold`: what the lease was for has failed.
    pub(super) fn relinquish_at_once(&mut self, step: &mut Step<'_>) {
        // A release under way is one of a caller that had finished.
        if !matches!(self.phase, Phase::Releasing { .. }) {
            self.kept_until = None;
        }
        self.relinquish(step);
    }

    fn settle(&mut self, attempt: InFlight, outcome: Outcome, step: &mut Step<'_>) {
        match self.phase {
            Phase::Asking => self.on_answer(attempt.sent_at, outcome, step),
            Phase::Confirming { .. } => self.on_confirmation(attempt, outcome, step),
            Phase::Held { .. } => self.on_held_answer(attempt, outcome, step),
            Phase::Returning => self.on_returned(outcome, step),
            Phase::Releasing { .. } => self.on_released(outcome, step),
            Phase::Lost(_) | Phase::Done => {}
        }
    }

    fn enter(&mut self, phase: Phase, send_at: Option<Time>) {
        self.phase = phase;
        self.send_at = send_at;
        self.rounds = 0;
    }

    fn tell(&self, step: &mut Step<'_>, notice: Notice) {
        step.notices.push_back((self.owner.lease, notice));
    }

    fn attempt_id(&self, number: u64) -> AttemptId {
        AttemptId {
            lease: self.owner.lease,
            number,
        }
    }
}
