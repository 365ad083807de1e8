//! While the lease is held: renewal, extension, more tokens, loss.

use std::sync::Arc;
use std::time::Duration;

use super::asking::malformed;
use super::{Acquisition, InFlight, Notice, Phase, Step, Terms};
use crate::backend::{Failure, Granted, Op, Outcome, Reply};
use crate::clock::Time;
use crate::{Error, LossReason, timing};

/// A holder's request for a longer lease.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(test, derive(Hash))]
pub(super) struct Extension {
    number: u64,
    ttl: Duration,
    /// Whether the attempt in flight asks for it.
    sent: bool,
}

impl Acquisition {
    pub(super) fn hold(
        &mut self,
        mut granted: Granted,
        since: Time,
        valid_until: Time,
        step: &mut Step<'_>,
    ) {
        let hold_until = self.terms.hold_until(step.now);
        let valid_until = valid_until.min(hold_until);
        self.kept_until = self.terms.kept_until(step.now);
        self.token = granted.tokens.start;
        granted.contended |= step.ask_again.hides_waiters();
        self.wants_tokens = 0;
        self.enter(
            Phase::Held {
                valid_until,
                hold_until,
            },
            None,
        );
        self.schedule_renewal(since, step.now);
        self.tell(
            step,
            Notice::Acquired {
                granted,
                valid_until,
            },
        );
    }

    /// Re-targets the lease to a holder whose terms differ from those it was asked for under.
    /// Returns the end of the validity, which may be earlier under them.
    pub(in super::super) fn adopt(&mut self, terms: Arc<Terms>, now: Time) -> Option<Time> {
        let Phase::Held {
            valid_until,
            hold_until,
        } = &mut self.phase
        else {
            return None;
        };
        *hold_until = terms.hold_until(now);
        *valid_until = timing::validity_end(now, terms.ttl)
            .min(*valid_until)
            .min(*hold_until);
        let (valid_until, ends_early) = (*valid_until, valid_until == hold_until);
        self.kept_until = terms.kept_until(now);
        self.terms = terms;
        self.renew_at = (self.must_renew() && !ends_early).then_some(now);
        self.schedule(now);
        Some(valid_until)
    }

    fn schedule_renewal(&mut self, sent_at: Time, now: Time) {
        let Phase::Held {
            valid_until,
            hold_until,
            ..
        } = self.phase
        else {
            return;
        };
        let goes_on = self.must_renew() && valid_until < hold_until;
        self.renew_at = goes_on.then(|| timing::renewal_due(sent_at, self.lasts));
        self.schedule(now);
    }

    /// Decides when the next attempt is due.
    fn schedule(&mut self, now: Time) {
        let is_urgent = self.wants_tokens > 0 || self.has_unsent_extensions();
        self.send_at = if is_urgent { Some(now) } else { self.renew_at };
    }

    /// Returns what is due. A renewal comes before a reservation: without it the lease is lost.
    pub(super) fn next_of_held(&mut self, now: Time) -> Option<Op> {
        if self.has_unsent_extensions() || self.renew_at.is_some_and(|at| at <= now) {
            self.renew_at = None;
            let ttl = self.send_extensions().unwrap_or(self.terms.ttl);
            return Some(Op::Renew { ttl });
        }
        let tokens = std::mem::take(&mut self.wants_tokens);
        (tokens > 0).then_some(Op::Reserve { tokens })
    }

    fn has_unsent_extensions(&self) -> bool {
        self.extensions.iter().any(|extension| !extension.sent)
    }

    /// A lease that was handed over lasts only for the claim, until its first renewal.
    fn must_renew(&self) -> bool {
        self.terms.renew || self.lasts < self.terms.ttl
    }

    /// Asks for more tokens, for later local holders.
    pub(in super::super) fn refill(&mut self, tokens: u32, now: Time) {
        if let Phase::Held { .. } = self.phase {
            self.wants_tokens = tokens;
            self.schedule(now);
        }
    }

    pub(super) fn on_held_answer(
        &mut self,
        attempt: InFlight,
        outcome: Outcome,
        step: &mut Step<'_>,
    ) {
        match (attempt.renews_for, outcome) {
            (_, Ok(Reply::Gone)) => self.lose(LossReason::Gone, step),
            (Some(ttl), Ok(Reply::Renewed { contended })) => {
                self.on_renewed(contended, attempt.sent_at, ttl, step);
            }
            (None, Ok(Reply::Reserved(granted))) => self.on_reserved(granted, step),
            (Some(_), Ok(reply)) => self.on_renewal_failure(malformed(&reply), step),
            (Some(_), Err(failure)) => self.on_renewal_failure(failure, step),
            (None, Ok(reply)) => self.on_reservation_failure(malformed(&reply), step),
            (None, Err(failure)) => self.on_reservation_failure(failure, step),
        }
    }

    fn on_renewed(&mut self, contended: bool, sent_at: Time, ttl: Duration, step: &mut Step<'_>) {
        let Phase::Held {
            valid_until,
            hold_until,
            ..
        } = &mut self.phase
        else {
            return;
        };
        // An extension's ttl becomes the lease's only once it is confirmed.
        Arc::make_mut(&mut self.terms).ttl = ttl;
        self.lasts = ttl;
        let end = timing::validity_end(sent_at, ttl).min(*hold_until);
        *valid_until = end.max(*valid_until);
        let valid_until = *valid_until;
        self.schedule_renewal(sent_at, step.now);
        let contended = contended || step.ask_again.hides_waiters();
        self.tell(
            step,
            Notice::Renewed {
                contended,
                valid_until,
            },
        );
        self.answer_sent_extensions(&Ok(()), step);
    }

    fn on_reserved(&mut self, mut granted: Granted, step: &mut Step<'_>) {
        granted.contended |= step.ask_again.hides_waiters();
        self.schedule(step.now);
        self.tell(step, Notice::Reserved(granted));
    }

    /// The lease stays held, and is passed on until its tokens are used up.
    fn on_reservation_failure(&mut self, failure: Failure, step: &mut Step<'_>) {
        self.schedule(step.now);
        self.tell(step, Notice::ReservationFailed(failure.error));
    }

    /// One failed renewal is no loss: the lease is ours until its validity ends. Extensions that
    /// the renewal asked for fail, and are not asked for again.
    fn on_renewal_failure(&mut self, failure: Failure, step: &mut Step<'_>) {
        let source = failure.error.clone();
        self.tell(step, Notice::RenewalFailed(failure.error));
        let key = self.key().shared();
        self.answer_sent_extensions(&Err(Error::Backend { key, source }), step);
        let pause = timing::renewal_retry(self.lasts);
        self.renew_at = self.must_renew().then(|| step.now + pause);
        self.schedule(step.now);
    }

    /// Renews for `ttl` as soon as no attempt is in flight.
    pub(in super::super) fn extend(&mut self, number: u64, ttl: Duration, step: &mut Step<'_>) {
        let error = match self.phase {
            Phase::Held { hold_until, .. } if step.now + ttl > hold_until => Error::config(
                "ttl",
                format!("{ttl:?} from now is later than `max_hold` lets this lease last"),
            ),
            Phase::Held { .. } => {
                self.extensions.push(Extension {
                    number,
                    ttl,
                    sent: false,
                });
                self.schedule(step.now);
                return;
            }
            Phase::Lost(reason) => self.lost_error(reason),
            _ => self.lost_error(LossReason::Released),
        };
        let answer = Err(error);
        self.tell(step, Notice::Extended { number, answer });
    }

    /// Marks all waiting extensions as sent. Returns the longest of their ttls, for the next
    /// attempt.
    fn send_extensions(&mut self) -> Option<Duration> {
        let extensions = self.extensions.iter_mut();
        extensions
            .map(|extension| {
                extension.sent = true;
                extension.ttl
            })
            .max()
    }

    fn answer_sent_extensions(&mut self, answer: &Result<(), Error>, step: &mut Step<'_>) {
        for Extension { number, .. } in self.extensions.extract_if(.., |extension| extension.sent) {
            let answer = answer.clone();
            let notice = Notice::Extended { number, answer };
            step.notices.push_back((self.owner.lease, notice));
        }
    }

    /// Refuses the waiting extensions, because the lease is over for that reason.
    pub(super) fn refuse_extensions(&mut self, reason: LossReason, step: &mut Step<'_>) {
        for Extension { number, .. } in std::mem::take(&mut self.extensions) {
            let answer = Err(self.lost_error(reason));
            self.tell(step, Notice::Extended { number, answer });
        }
    }

    pub(in super::super) fn lose(&mut self, reason: LossReason, step: &mut Step<'_>) {
        let Phase::Held { hold_until, .. } = self.phase else {
            return;
        };
        let at_max = reason == LossReason::Expired && step.now >= hold_until;
        let reason = if at_max { LossReason::MaxHold } else { reason };
        self.in_flight = None;
        self.enter(Phase::Lost(reason), None);
        self.tell(step, Notice::Lost(reason));
        // After the notice of the loss, so that a caller that asked for an extension sees an ended
        // lease.
        self.refuse_extensions(reason, step);
    }

    fn lost_error(&self, reason: LossReason) -> Error {
        Error::Lost {
            key: self.key().shared(),
            fencing_token: self.token,
            reason,
        }
    }
}
