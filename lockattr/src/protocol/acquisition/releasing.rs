//! Releases the key, until that is confirmed or can no longer matter.

use std::time::Duration;

use super::{Acquisition, Notice, Phase, Step};
use crate::backend::Outcome;
use crate::clock::Time;
use crate::timing;

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl Acquisition {
    /// Returns how long others are kept out from now on.
    pub(super) fn kept_for(&self, now: Time) -> Option<Duration> {
        let left = self.kept_until?.since(now);
        let is_releasing = matches!(self.phase, Phase::Releasing { .. });
        (is_releasing && !left.is_zero()).then_some(left)
    }

    pub(super) fn release(&mut self, now: Time) {
        self.wanted = false;
        // A renewal in flight does no harm: it never takes a key that is free.
        self.in_flight = None;
        self.enter(
            Phase::Releasing {
                until: self.gone_from_server(),
                told: false,
            },
            Some(now),
        );
    }

    /// A grant that is already being returned becomes a release: the caller no longer wants a
    /// lease.
    pub(super) fn go_on_releasing(&mut self) {
        self.wanted = false;
        self.phase = Phase::Releasing {
            until: self.gone_from_server(),
            told: false,
        };
    }

    pub(super) fn on_released(&mut self, outcome: Outcome, step: &mut Step<'_>) {
        let Phase::Releasing { until, told } = self.phase else {
            return;
        };
        let Err(failure) = outcome else {
            return self.finish(Notice::Released, step);
        };
        if !told {
            self.phase = Phase::Releasing { until, told: true };
            self.tell(step, Notice::ReleaseDelayed(failure.error));
        }
        if failure.passing {
            let pause = timing::backoff(self.rounds, FIRST_PAUSE, LONGEST_PAUSE, step.jitter);
            self.rounds += 1;
            self.send_at = Some(step.now + pause);
        } else {
            self.finish(Notice::ReleaseAbandoned, step);
        }
    }

    pub(super) fn finish(&mut self, last: Notice, step: &mut Step<'_>) {
        self.phase = Phase::Done;
        self.tell(step, last);
    }
}
