//! Between the grant and the lease, for a caller that asks for confirmation: a renewal has to be
//! confirmed first.
//!
//! The renewal shows that the server that confirms has the lease, also when it is not the one that
//! granted it. It is executed after the grant, so what confirms the renewal confirms the grant and its
//! tokens too. A handoff is confirmed in the same way as an answer.

use super::asking::{FIRST_FAILURE_PAUSE, malformed};
use super::{Acquisition, InFlight, Notice, Phase, Step};
use crate::backend::{BackendError, BackendErrorKind, Failure, Granted, Outcome, Reply};
use crate::clock::Time;
use crate::timing;

impl Acquisition {
    /// Asks for the confirmation of a grant, which is of use until `valid_until`.
    pub(super) fn confirm(&mut self, granted: Granted, valid_until: Time, step: &Step<'_>) {
        self.unconfirmed = Some(granted);
        self.enter(Phase::Confirming { valid_until }, Some(step.now));
    }

    pub(super) fn on_confirmation(
        &mut self,
        attempt: InFlight,
        outcome: Outcome,
        step: &mut Step<'_>,
    ) {
        let (ttl, sent_at) = (self.terms.ttl, attempt.sent_at);
        let failure = match outcome {
            Ok(Reply::Renewed { contended }) => {
                let valid_until = timing::validity_end(sent_at, ttl);
                if timing::worth_having(valid_until, step.now, ttl)
                    && let Some(mut granted) = self.unconfirmed.take()
                {
                    self.lasts = ttl;
                    granted.contended |= contended;
                    return self.hold(granted, sent_at, valid_until, step);
                }
                Failure::outcome_unknown(too_late())
            }
            Ok(Reply::Gone) => {
                return self.on_unconfirmed(Failure::outcome_unknown(gone()), step);
            }
            Ok(reply) => malformed(&reply),
            Err(failure) => failure,
        };
        let is_unconfirmed = matches!(failure.error.kind(), BackendErrorKind::Unconfirmed { .. });
        // One more try by another connection: this one may have been idle for long.
        if failure.passing && !is_unconfirmed && self.rounds == 0 {
            self.rounds += 1;
            self.send_at = Some(step.now + FIRST_FAILURE_PAUSE);
            return;
        }
        self.on_unconfirmed(failure, step);
    }

    /// The grant has ended before it was confirmed.
    pub(super) fn confirmed_too_late(&mut self, step: &mut Step<'_>) {
        self.in_flight = None;
        self.on_unconfirmed(Failure::outcome_unknown(too_late()), step);
    }

    /// Gives the grant back, and asks anew if there is time.
    fn on_unconfirmed(&mut self, failure: Failure, step: &mut Step<'_>) {
        self.unconfirmed = None;
        self.last_failure = Some(failure.error.clone());
        if !failure.passing || self.tries_once() {
            self.fail(step);
            return self.release(step.now);
        }
        self.refusals += 1;
        self.tell(step, Notice::Trouble(failure.error));
        self.enter(Phase::Returning, Some(step.now));
    }
}

fn too_late() -> BackendError {
    BackendError::new(
        BackendErrorKind::Timeout,
        "the confirmation came too late to leave a lease; a longer `ttl` leaves more time",
    )
}

fn gone() -> BackendError {
    BackendError::new(
        BackendErrorKind::Unavailable,
        "the server that was to confirm the lease did not have it: another one has become the master, \
         or the lease ended before",
    )
}
