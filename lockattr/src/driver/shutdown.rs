//! The end of a pool, as its callers ask for it: several may, each with a time of its own.

use std::time::Duration;

use super::Reply;
use super::run::Driver;
use crate::Error;
use crate::backend::Backend;
use crate::clock::Time;

/// How long holders may take to notice a shutdown, before their leases are released under them.
const LONGEST_GRACE: Duration = Duration::from_millis(250);

pub(super) struct Shutdown {
    force_at: Time,
    give_up_at: Time,
    reply: Reply,
}

impl Shutdown {
    pub(super) fn new(now: Time, within: Duration, reply: Reply) -> Self {
        Self {
            force_at: now + (within / 4).min(LONGEST_GRACE),
            give_up_at: now + within,
            reply,
        }
    }

    /// When there is something to do.
    pub(super) fn due(&self) -> Time {
        self.force_at.min(self.give_up_at)
    }
}

impl<B: Backend> Driver<B> {
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
        let is_over = |shutdown: &mut Shutdown| leases == 0 || now >= shutdown.give_up_at;
        for shutdown in self.shutdowns.extract_if(.., is_over) {
            let answer = if leases == 0 {
                Ok(())
            } else {
                Err(Error::Unreleased { leases })
            };
            // An error means that its caller waits no longer.
            drop(shutdown.reply.send(answer));
        }
    }
}
