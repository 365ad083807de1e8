//! From the first attempt to the grant, or to giving up.

use std::time::Duration;

use super::{Acquisition, Notice, Phase, Step};
use crate::backend::{BackendError, BackendErrorKind, Failure, Outcome, Reply};
use crate::clock::Time;
use crate::spec::Wait;
use crate::{Error, timing};

/// Pauses between two tries for a key that is held, where the service keeps no queue.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// Pauses after a failure of the service.
const FIRST_FAILURE_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_FAILURE_PAUSE: Duration = Duration::from_millis(500);
/// How often a queued waiter asks again, in case a handoff went astray.
const RECHECK: Duration = Duration::from_secs(1);
/// Past the end of the present lease, so that the server sees it ended too.
const AFTER_THE_END: Duration = Duration::from_millis(1);

impl Acquisition {
    /// It is this acquisition's turn in its pool.
    pub(in super::super) fn start(&mut self, step: &mut Step<'_>) {
        if self.phase == Phase::Parked {
            self.last_failure = None;
            if self.terms.wait == Wait::For(Duration::ZERO) {
                self.wait_until = step.now;
            }
            self.enter(Phase::Asking, Some(step.now));
        }
    }

    /// Lets one that tries once wait for the release ahead of it, which is already on its way.
    pub(in super::super) fn outwait_release(&mut self) {
        self.wait_until = self.wait_until.max(self.asked_at + self.patience());
    }

    /// Ask again now, if waiting.
    pub(in super::super) fn nudge(&mut self, now: Time) {
        if self.phase == Phase::Asking && self.in_flight.is_none() {
            self.send_at = Some(now);
        }
    }

    /// A releasing holder, or the end of a lease, made this owner the holder.
    pub(in super::super) fn on_handoff(
        &mut self,
        generation: u32,
        token: u64,
        since: Time,
        step: &mut Step<'_>,
    ) {
        if self.phase == Phase::Asking && self.owner.generation == generation {
            // The reply to an ask on its way will not be waited for.
            self.uncertain |= self.in_flight.take().is_some();
            self.on_granted(since, token, step);
        }
    }

    pub(super) fn on_answer(&mut self, sent_at: Time, outcome: Outcome, step: &mut Step<'_>) {
        match outcome {
            Ok(Reply::Granted { token }) => self.on_granted(sent_at, token, step),
            Ok(Reply::Held { ends_in, queued }) => self.on_held(ends_in, queued, step),
            Ok(Reply::Tombstoned) if self.wanted => {
                self.owner = self.owner.renamed();
                self.uncertain = false;
                self.send_at = Some(step.now);
            }
            Ok(Reply::Tombstoned) => self.finish(Notice::Withdrawn, step),
            Ok(reply) => self.on_failure(malformed(&reply), step),
            Err(failure) => self.on_failure(failure, step),
        }
    }

    fn on_granted(&mut self, sent_at: Time, token: u64, step: &mut Step<'_>) {
        self.queued = false;
        self.last_failure = None;
        self.last_sent = self.last_sent.max(sent_at);
        let valid_until = timing::validity_end(sent_at, self.terms.ttl);
        if !self.wanted {
            self.release(step.now);
        } else if timing::worth_having(valid_until, step.now, self.terms.ttl) {
            self.hold(token, sent_at, valid_until, step);
        } else if step.now >= self.wait_until {
            self.last_failure = Some(too_late());
            self.fail(step);
            self.release(step.now);
        } else {
            self.enter(Phase::Returning, Some(step.now));
        }
    }

    fn on_held(&mut self, ends_in: Duration, queued: bool, step: &mut Step<'_>) {
        self.queued = queued;
        self.last_failure = None;
        self.held_until = Some(step.now + ends_in);
        if !self.wanted {
            return self.stop_asking(step);
        }
        if step.now >= self.wait_until {
            return self.give_up(step);
        }
        self.tell_waiting(step);
        let free = ends_in.saturating_add(AFTER_THE_END);
        let pause = if queued {
            free.min(RECHECK)
        } else {
            free.min(timing::backoff(
                self.rounds,
                FIRST_PAUSE,
                LONGEST_PAUSE,
                step.jitter,
            ))
        };
        self.rounds += 1;
        self.send_at = Some(step.now + pause);
    }

    fn on_failure(&mut self, failure: Failure, step: &mut Step<'_>) {
        self.uncertain |= failure.maybe_executed;
        self.last_failure = Some(failure.error);
        if !self.wanted {
            return self.stop_asking(step);
        }
        if !failure.passing || step.now >= self.wait_until {
            return self.give_up(step);
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

    /// A late grant was given back: ask again as somebody else, since this owner's tombstone may stand.
    pub(super) fn on_returned(&mut self, outcome: Outcome, step: &mut Step<'_>) {
        match outcome {
            Ok(_) => {
                self.owner = self.owner.renamed();
                self.uncertain = false;
                self.enter(Phase::Asking, Some(step.now));
            }
            Err(failure) => {
                self.last_failure = Some(failure.error);
                self.fail(step);
                self.release(step.now);
            }
        }
    }

    /// The wait is over before the late grant is given back: the caller need not wait for that.
    pub(super) fn give_up_returning(&mut self, step: &mut Step<'_>) {
        self.last_failure = Some(too_late());
        self.fail(step);
        self.go_on_releasing();
    }

    /// When an acquisition without a lease gives up, unless an answer is on its way.
    pub(super) fn give_up_at(&self) -> Time {
        match self.phase {
            // To try once means to send once, however busy the pool is.
            Phase::Asking if self.number == 0 => match self.terms.wait {
                Wait::For(wait) => self.asked_at + wait + self.patience(),
                Wait::Forever => Time::NEVER,
            },
            _ if self.in_flight.is_some() => Time::NEVER,
            _ => self.wait_until,
        }
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

    /// Remembers why the acquisition ahead in the local queue is not getting on.
    pub(in super::super) fn blame(
        &mut self,
        failure: Option<BackendError>,
        held_until: Option<Time>,
    ) {
        self.last_failure = failure;
        self.held_until = held_until;
    }

    /// The first time that it has to wait.
    pub(in super::super) fn tell_waiting(&mut self, step: &mut Step<'_>) {
        if !std::mem::replace(&mut self.has_waited, true) {
            let ends_in = self.held_until.map(|end| end.since(step.now));
            self.tell(step, Notice::Waiting { ends_in });
        }
    }

    pub(in super::super) fn held_until(&self) -> Option<Time> {
        match self.phase {
            Phase::Held { valid_until, .. } => Some(valid_until),
            _ => self.held_until,
        }
    }
}

fn too_late() -> BackendError {
    BackendError::new(
        BackendErrorKind::Timeout,
        "the answer came too late to leave a lease",
    )
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
