//! The shutdown of a pool: several callers may ask for it, each with its own time limit.

use std::time::Duration;

use super::{Caller, Coordinator, Effect};
use crate::Error;
use crate::clock::Time;

/// How long holders may take to notice a shutdown, before their leases are released nevertheless.
const LONGEST_GRACE: Duration = Duration::from_millis(250);

#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct Shutdown<R> {
    force_at: Time,
    give_up_at: Time,
    request: R,
}

impl<R> Shutdown<R> {
    /// When the next step of the shutdown is due.
    pub(super) fn due(&self) -> Time {
        self.force_at.min(self.give_up_at)
    }
}

impl<C: Caller, R> Coordinator<C, R> {
    /// Shuts the pool down. Waiters are refused, holders lose their leases; `request` is answered
    /// once everything is released, or at the end of `within`. Returns it if the I/O thread is
    /// gone.
    pub(crate) fn shutdown(&mut self, now: Time, within: Duration, request: R) -> Result<(), R> {
        if self.is_over {
            return Err(request);
        }
        self.keeper.close(now);
        self.shutdowns.push(Shutdown {
            force_at: now + (within / 4).min(LONGEST_GRACE),
            give_up_at: now + within,
            request,
        });
        self.settle(now);
        Ok(())
    }

    pub(super) fn go_on_with_shutdowns(&mut self, now: Time) {
        let mut is_forced = false;
        for shutdown in &mut self.shutdowns {
            if now >= shutdown.force_at {
                is_forced = true;
                shutdown.force_at = Time::NEVER;
            }
        }
        if is_forced {
            self.keeper.release_all(now);
        }
        let leases = self.keeper.unfinished();
        let is_over = |shutdown: &mut Shutdown<R>| leases == 0 || now >= shutdown.give_up_at;
        for shutdown in self.shutdowns.extract_if(.., is_over) {
            let answer = if leases == 0 {
                Ok(())
            } else {
                Err(Error::Unreleased { leases })
            };
            self.effects.push_back(Effect::Answered {
                to: shutdown.request,
                answer,
            });
        }
    }
}
