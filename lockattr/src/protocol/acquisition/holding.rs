//! While the lease is held: renewal, extension, loss.

use std::time::Duration;

use super::asking::malformed;
use super::{Acquisition, Notice, Phase, Step, Terms};
use crate::backend::{Failure, Granted, Outcome, Reply};
use crate::clock::Time;
use crate::{Error, LossReason, timing};

impl Acquisition {
    pub(super) fn hold(
        &mut self,
        granted: Granted,
        since: Time,
        valid_until: Time,
        step: &mut Step<'_>,
    ) {
        let hold_until = self.terms.hold_until(step.now);
        let valid_until = valid_until.min(hold_until);
        self.token = granted.tokens.start;
        self.enter(
            Phase::Held {
                valid_until,
                hold_until,
            },
            None,
        );
        self.schedule_renewal(since);
        self.tell(
            step,
            Notice::Acquired {
                granted,
                valid_until,
            },
        );
    }

    /// The holder is another than the one who asked, and wants other terms. Gives the end of the
    /// validity, which may come earlier for that.
    pub(in super::super) fn adopt(&mut self, terms: Terms, now: Time) -> Option<Time> {
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
        self.terms = terms;
        self.send_at = (self.must_renew() && !ends_early).then_some(now);
        Some(valid_until)
    }

    fn schedule_renewal(&mut self, sent_at: Time) {
        let Phase::Held {
            valid_until,
            hold_until,
            ..
        } = self.phase
        else {
            return;
        };
        let goes_on = self.must_renew() && valid_until < hold_until;
        self.send_at = goes_on.then(|| timing::renewal_due(sent_at, self.lasts));
    }

    /// A lease that was handed over lasts for the claim only, until it is renewed for the first
    /// time.
    fn must_renew(&self) -> bool {
        self.terms.renew || self.lasts < self.terms.ttl
    }

    /// More tokens are wanted, for local holders to come.
    pub(in super::super) fn refill(&mut self, tokens: u32, now: Time) {
        if let Phase::Held { .. } = self.phase {
            self.wants_tokens = tokens;
            self.send_at = Some(now);
        }
    }

    pub(super) fn on_renewal(&mut self, sent_at: Time, outcome: Outcome, step: &mut Step<'_>) {
        match outcome {
            Ok(Reply::Renewed(granted)) => self.on_renewed(granted, sent_at, step),
            Ok(Reply::Gone) => self.lose(LossReason::Gone, step),
            Ok(reply) => self.on_renewal_failure(malformed(&reply), step),
            Err(failure) => self.on_renewal_failure(failure, step),
        }
    }

    fn on_renewed(&mut self, granted: Granted, sent_at: Time, step: &mut Step<'_>) {
        let Phase::Held {
            valid_until,
            hold_until,
            ..
        } = &mut self.phase
        else {
            return;
        };
        self.lasts = self.terms.ttl;
        let end = timing::validity_end(sent_at, self.terms.ttl).min(*hold_until);
        *valid_until = end.max(*valid_until);
        let valid_until = *valid_until;
        self.schedule_renewal(sent_at);
        // Asked for after this attempt was sent.
        if self.wants_tokens > 0 {
            self.send_at = Some(step.now);
        }
        self.tell(
            step,
            Notice::Renewed {
                granted,
                valid_until,
            },
        );
        self.answer_extend(Ok(()), step);
    }

    /// One failed renewal is no loss: the lease is ours until its validity ends.
    fn on_renewal_failure(&mut self, failure: Failure, step: &mut Step<'_>) {
        let source = failure.error.clone();
        self.tell(step, Notice::RenewalFailed(failure.error));
        self.answer_extend(
            Err(Error::Backend {
                key: self.key().shared(),
                source,
            }),
            step,
        );
        let pause = timing::renewal_retry(self.lasts);
        self.send_at = self.must_renew().then(|| step.now + pause);
    }

    /// Renews now, for `ttl` from now on.
    pub(in super::super) fn extend(&mut self, ttl: Duration, step: &mut Step<'_>) {
        if let Phase::Held { .. } = self.phase {
            self.answer_extend(Ok(()), step);
            self.terms.ttl = ttl;
            self.extending = true;
            self.in_flight = None;
            self.send_at = Some(step.now);
        } else {
            let reason = if let Phase::Lost(reason) = self.phase {
                reason
            } else {
                LossReason::Released
            };
            let error = self.lost_error(reason);
            self.tell(step, Notice::Extended(Err(error)));
        }
    }

    fn answer_extend(&mut self, answer: Result<(), Error>, step: &mut Step<'_>) {
        if std::mem::take(&mut self.extending) {
            self.tell(step, Notice::Extended(answer));
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
        // Whoever hears of it sees a lease that is over.
        self.answer_extend(Err(self.lost_error(reason)), step);
    }

    fn lost_error(&self, reason: LossReason) -> Error {
        Error::Lost {
            key: self.key().shared(),
            fencing_token: self.token,
            reason,
        }
    }
}
