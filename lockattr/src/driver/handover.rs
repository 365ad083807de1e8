//! A lease goes to the next call of the process, or back to the lock service.

use std::sync::Arc;
use std::task::Waker;

use super::recovery::shielded;
use super::tenure::Tenure;
use super::{Commands, Grant, Lease, Reply, WaitingCall, observe, thread_end, wake};
use crate::protocol::{Released, Waiter};

impl Commands {
    /// Hands the lease over to the next waiter of this process, or gives it back to the lock
    /// service. `keeps` says whether its `min_hold` counts.
    pub(super) fn hand_over(&self, tenure: &Arc<Tenure>, keeps: bool, mut request: Option<Reply>) {
        loop {
            let released = self.shared().with(|coordinator, now| {
                coordinator.release(now, tenure.line(), (tenure.id(), keeps), &mut request)
            });
            match released {
                Released::Over => return thread_end::await_releases(self),
                Released::Passed { waiter, token } => {
                    if let Ok(waker) = self.deliver(tenure, &waiter, token) {
                        self.counters().passed_on.add_one();
                        #[cfg(feature = "metrics")]
                        shielded(|| waiter.caller.0.measured().passed_on());
                        // This may run in a destructor, where a panic of the next waiter's waker
                        // would abort the process.
                        return shielded(|| wake(waker));
                    }
                }
            }
        }
    }

    /// Offers a waiter its lease. Returns the waker to be called, or an error if the waiter is gone.
    pub(super) fn deliver(
        &self,
        tenure: &Arc<Tenure>,
        waiter: &Waiter<WaitingCall>,
        token: u64,
    ) -> Result<Option<Waker>, Gone> {
        let WaitingCall(call) = &waiter.caller;
        shielded(|| observe::granted(self.shared(), call, tenure.key(), token));
        let lease = Lease::new(Arc::clone(tenure), token, Arc::clone(call));
        let grant = Grant::new(lease, self.clone());
        call.grant(grant, self.now()).map_err(|undelivered| {
            undelivered.forget();
            Gone
        })
    }
}

/// The waiter is gone, and its lease goes to another waiter.
pub(super) struct Gone;
