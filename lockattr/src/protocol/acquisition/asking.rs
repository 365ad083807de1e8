//! From the first attempt to the grant, or to giving up.

use std::sync::Arc;
use std::time::Duration;

use super::{Acquisition, AskAgain, Notice, Phase, Step};
use crate::backend::{BackendError, BackendErrorKind, Failure, Granted, Outcome, OwnerId, Reply};
use crate::clock::Time;
use crate::mode::Mode;
use crate::spec::Wait;
use crate::{Error, timing};

/// Pauses after a failure of the service.
pub(super) const FIRST_FAILURE_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_FAILURE_PAUSE: Duration = Duration::from_millis(500);
/// Added to the end of the present lease, so that it has ended for the server too.
const AFTER_THE_END: Duration = Duration::from_millis(1);

impl Acquisition {
    /// Asks again now, if it waits.
    pub(in super::super) fn nudge(&mut self, now: Time) {
        if self.phase == Phase::Asking && self.in_flight.is_none() {
            self.send_at = Some(now);
        }
    }

    /// A releasing holder, or the end of a lease, made this owner the holder.
    pub(in super::super) fn on_handoff(
        &mut self,
        owner: &OwnerId,
        granted: Granted,
        since: Time,
        ttl: Duration,
        step: &mut Step<'_>,
    ) {
        if self.phase == Phase::Asking && self.owner == *owner {
            // The reply to an acquire in flight is not waited for.
            self.uncertain |= self.in_flight.take().is_some();
            // The claim asked for no longer ttl, whatever the message says.
            self.on_granted(granted, since, ttl.min(self.claim.ttl), step);
        }
    }

    pub(super) fn on_answer(&mut self, sent_at: Time, outcome: Outcome, step: &mut Step<'_>) {
        match outcome {
            Ok(Reply::Granted(granted)) => {
                self.on_granted(granted, sent_at, self.terms.ttl, step);
            }
            Ok(Reply::Held { ends_in, holder }) => self.on_held(ends_in, holder, step),
            Ok(Reply::OtherMode(held)) => self.on_other_mode(held, step),
            Ok(Reply::Tombstoned) if self.wanted => {
                self.owner = self.owner.renamed();
                self.uncertain = false;
                self.queued = false;
                self.send_at = Some(step.now);
            }
            Ok(Reply::Tombstoned) => self.finish(Notice::Withdrawn, step),
            Ok(reply) => self.on_failure(malformed(&reply), step),
            Err(failure) => self.on_failure(failure, step),
        }
    }

    fn on_granted(&mut self, granted: Granted, since: Time, ttl: Duration, step: &mut Step<'_>) {
        self.queued = false;
        self.last_failure = None;
        self.ends_at = self.ends_at.max(since + ttl);
        self.lasts = ttl;
        let valid_until = timing::validity_end(since, ttl);
        if !self.wanted {
            self.release(step.now);
        } else if self.terms.confirmation.is_some() {
            self.confirm(granted, valid_until, step);
        } else if timing::worth_having(valid_until, step.now, ttl) {
            self.hold(granted, since, valid_until, step);
        } else if self.tries_once() {
            self.last_failure = Some(too_late(ttl, step.now.since(since)));
            self.fail(step);
            self.release(step.now);
        } else {
            self.enter(Phase::Returning, Some(step.now));
        }
    }

    fn on_held(&mut self, ends_in: Duration, holder: Option<Arc<str>>, step: &mut Step<'_>) {
        self.last_failure = None;
        self.held_by.clone_from(&holder);
        self.held_until = Some(step.now + ends_in);
        if self.tries_once() {
            return self.give_up(step);
        }
        let at_end = ends_in.saturating_add(AFTER_THE_END);
        let pause = match step.ask_again {
            AskAgain::Queued(recheck) => {
                self.queued = true;
                self.rounds = 0;
                at_end.min(recheck)
            }
            AskAgain::Polled { first, last, least } => {
                let pause = timing::backoff(self.rounds, first, last, step.jitter);
                self.rounds += 1;
                at_end.min(pause).max(least)
            }
        };
        if !self.wanted {
            return self.stop_asking(step);
        }
        self.tell(step, Notice::Waiting { ends_in, holder });
        self.send_at = Some(step.now + pause);
    }

    /// Others use the key otherwise: waiting would not help.
    fn on_other_mode(&mut self, held: Mode, step: &mut Step<'_>) {
        let error = Error::OtherMode {
            key: self.key().shared(),
            held,
            asked: self.terms.mode,
        };
        self.queued = false;
        self.fail_with(error, step);
        self.stop_asking(step);
    }

    fn on_failure(&mut self, failure: Failure, step: &mut Step<'_>) {
        self.uncertain |= failure.maybe_executed;
        // A second failure is mostly a consequence of the first one, so the first one is reported.
        if self.last_failure.is_none() || failure.maybe_executed || !self.tries_once() {
            self.last_failure = Some(failure.error);
        }
        if !self.wanted {
            return self.stop_asking(step);
        }
        if !failure.passing || (self.tries_once() && !self.tries_again(step.now)) {
            return self.give_up(step);
        }
        if let Some(error) = self.last_failure.clone() {
            self.tell(step, Notice::Trouble(error));
        }
        let pause = timing::backoff(
            self.rounds,
            FIRST_FAILURE_PAUSE,
            LONGEST_FAILURE_PAUSE,
            step.jitter,
        );
        self.rounds += 1;
        self.send_at = Some(step.now + pause);
    }

    /// A grant was returned that came too late or was not confirmed: asks again under a new owner id,
    /// since this one's tombstone may stand.
    pub(super) fn on_returned(&mut self, outcome: Outcome, step: &mut Step<'_>) {
        match outcome {
            Ok(_) => {
                self.owner = self.owner.renamed();
                self.uncertain = false;
                self.queued = false;
                let pause = match self.refusals.checked_sub(1) {
                    None => Duration::ZERO,
                    Some(round) => timing::backoff(
                        round,
                        FIRST_FAILURE_PAUSE,
                        LONGEST_FAILURE_PAUSE,
                        step.jitter,
                    ),
                };
                self.enter(Phase::Asking, Some(step.now + pause));
            }
            Err(failure) => {
                self.last_failure = Some(failure.error);
                self.fail(step);
                self.release(step.now);
            }
        }
    }

    /// Whether a caller that tries once asks again after a failure. It wants one answer: the
    /// failure may come from a connection that was idle for long, and a new one is dialled
    /// meanwhile.
    fn tries_again(&self, now: Time) -> bool {
        self.rounds == 0 || now < self.asked_at + self.patience()
    }

    /// When a caller that tries once gives up, unless an answer is on its way: to try once means to
    /// get one answer, however busy the pool is.
    pub(super) fn give_up_at(&self) -> Time {
        if self.tries_once() && self.in_flight.is_none() {
            self.asked_at + self.patience() * if self.rounds == 0 { 1 } else { 2 }
        } else {
            Time::NEVER
        }
    }

    pub(super) fn tries_once(&self) -> bool {
        self.terms.wait == Wait::For(Duration::ZERO)
    }

    pub(in super::super) fn give_up(&mut self, step: &mut Step<'_>) {
        self.fail(step);
        self.stop_asking(step);
    }

    /// Leaves nothing behind on the server. An attempt in flight is waited for.
    pub(super) fn stop_asking(&mut self, step: &mut Step<'_>) {
        self.wanted = false;
        self.send_at = None;
        if self.in_flight.is_some() {
            return;
        }
        if self.queued || self.uncertain {
            // A place in the queue outlives the ttl of the last question: what is told after that counts too.
            self.ends_at = self.ends_at.max(step.now + self.terms.ttl);
            self.release(step.now);
        } else {
            self.finish(Notice::Withdrawn, step);
        }
    }

    /// Tells the caller that there will be no lease, and why.
    pub(super) fn fail(&mut self, step: &mut Step<'_>) {
        let key = self.key().shared();
        let error = match self.last_failure.clone() {
            Some(source) => Error::Backend { key, source },
            None if self.number == 0 && self.phase == Phase::Asking => {
                let message = "too many requests are waiting for the lock service";
                Error::Backend {
                    key,
                    source: BackendError::new(BackendErrorKind::Timeout, message),
                }
            }
            None => Error::Busy {
                key,
                waited: step.now.since(self.asked_at),
                retry_after: self.held_until.map(|end| end.since(step.now)),
                holder: self.held_by.clone(),
            },
        };
        self.fail_with(error, step);
    }

    pub(in super::super) fn fail_with(&mut self, error: Error, step: &mut Step<'_>) {
        if self.wanted {
            self.wanted = false;
            self.tell(step, Notice::Failed(error));
        }
    }
}

fn too_late(ttl: Duration, round_trip: Duration) -> BackendError {
    let message = format!(
        "the answer came too late to leave a lease of the ttl of {ttl:?}; the round trip takes \
         {round_trip:?}; a longer `ttl` leaves more time"
    );
    BackendError::new(BackendErrorKind::Timeout, message)
}

pub(super) fn malformed(reply: &Reply) -> Failure {
    let error = BackendError::new(
        BackendErrorKind::Malformed,
        format!("an answer to another question: {reply:?}"),
    );
    Failure {
        maybe_executed: true,
        passing: false,
        error,
    }
}
