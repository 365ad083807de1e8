//! What becomes of a pool whose I/O thread panics.
//!
//! Foreign code runs on that thread: wakers of futures, and subscribers of traces. After a panic
//! nobody knows what of the present round was done. So whoever holds a lease hears that it is lost,
//! whoever waits that there will be none, and the thread goes on with nothing. What is left on the
//! server ends by its ttl, as after a crash.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::runtime::Runtime;
use tracing::error;

use super::observe::observe;
use super::run::{Driver, Entry};
use super::{Counters, Shared};
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
        let Shared { counters, .. } = &*self.commands.shared;
        counters.restarted.add_one();
        shielded(|| error!("the I/O thread of a pool panicked; its leases are lost"));
        self.keeper.clear();
        self.waits.clear();
        for entry in mem::take(&mut self.entries).into_values() {
            shielded(|| entry.abandon(counters));
        }
        let waiting = self.commands.shared.queues().clear();
        for waiter in waiting {
            let key = waiter.key().clone();
            let message = "the pool's I/O thread panicked, and has started over";
            let error = Error::Backend {
                key: key.shared(),
                source: BackendError::new(BackendErrorKind::Unavailable, message),
            };
            shielded(|| waiter.caller.refuse(counters, &key, error));
        }
    }
}

impl Entry {
    /// Whoever waits for the answer to a release or an extension hears of the end of its channel.
    fn abandon(self, counters: &Counters) {
        if let Some(tenure) = self.tenure {
            tenure.end(LossReason::Panicked);
            let lost = Notice::Lost(LossReason::Panicked);
            observe(counters, &tenure.holder_trace(), &self.key, &lost);
        }
    }
}

/// Runs foreign code whose panic must not go further; the process' panic hook reports it.
pub(super) fn shielded(f: impl FnOnce()) {
    drop(catch_unwind(AssertUnwindSafe(f)));
}
