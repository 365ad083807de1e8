//! What happens to a pool whose I/O thread panics.
//!
//! Foreign code runs on that thread: wakers of futures, and subscribers of traces. After a panic it
//! is unknown which parts of the present round were done. So holders lose their leases, waiters are
//! refused, and the thread goes on without any. What is left on the server ends by its ttl, as
//! after a crash.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::runtime::Runtime;
use tracing::error;

use super::Effect;
use super::observe::observe;
use super::run::Driver;
use crate::backend::{Backend, BackendError, BackendErrorKind};
use crate::protocol::Notice;
use crate::{Error, LossReason};

impl<B: Backend> Driver<B> {
    /// Runs until all callers are gone and nothing is left to release.
    pub(super) fn run_on(mut self, runtime: &Runtime) {
        while catch_unwind(AssertUnwindSafe(|| runtime.block_on(self.run()))).is_err() {
            self.start_over();
        }
    }

    fn start_over(&mut self) {
        let shared = Arc::clone(&self.commands.shared);
        shared.counters.restarted.add_one();
        shielded(|| error!("the I/O thread of a pool panicked; its leases are lost"));
        let mut forgotten = self.commands.shared.coordinator().clear();
        for tenure in mem::take(&mut self.tenures).into_values() {
            let reason = LossReason::Panicked;
            tenure.end(reason);
            let lost = Notice::Lost(reason);
            let holder = tenure.holder();
            let holder = holder.as_ref().map(|(call, token)| (&**call, Some(*token)));
            shielded(|| observe(&shared, holder, tenure.key(), &lost));
        }
        self.attempts.clear();
        let mut waiters = mem::take(&mut forgotten.waiters);
        let effects = mem::take(&mut self.effects).into_iter();
        for effect in effects.chain(mem::take(&mut forgotten.effects)) {
            match effect {
                Effect::Granted { waiter, .. } | Effect::Refused { waiter, .. } => {
                    waiters.push(waiter);
                }
                other => shielded(|| drop(other)),
            }
        }
        for waiter in waiters {
            let key = waiter.key().clone();
            let message = "the pool's I/O thread panicked, and has started over";
            let error = Error::Backend {
                key: key.shared(),
                source: BackendError::new(BackendErrorKind::Unavailable, message),
            };
            shielded(|| waiter.caller.refuse(&shared, &key, error));
        }
        // Requests for a release or an extension get an error, because their channels close.
        shielded(|| drop(forgotten));
    }
}

/// Runs foreign code and stops its panics here; the process' panic hook reports them.
pub(super) fn shielded(f: impl FnOnce()) {
    drop(catch_unwind(AssertUnwindSafe(f)));
}
