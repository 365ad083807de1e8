//! The responsibility for a lease, from the moment that the server may have granted it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, mem};

use super::call::{Answer, Call};
use super::recovery::shielded;
use super::tenure::Tenure;
use super::{CallTrace, Commands, Lease, Reply, observe};
use crate::Error;
use crate::clock::Time;
use crate::protocol::{LineName, Terms};
use crate::spec::Wait;
use tokio::sync::oneshot;

/// A lease on its way to the caller.
///
/// From the first attempt on, the I/O thread is responsible for what the server may have granted.
/// Dropping this future leaves the local queue, and an offered lease goes to the next waiter. So
/// does a lease that is not taken up within the claim window, because nothing polls this future;
/// polled again later, the future asks anew.
#[derive(Debug)]
pub(crate) struct Acquiring {
    call: Arc<Call>,
    /// The waiter in the local queue; `None` once the answer is there.
    waiter: Option<u64>,
    commands: Commands,
    terms: Arc<Terms>,
    asked_at: Time,
    is_polled: bool,
    #[cfg(feature = "metrics")]
    is_answered: bool,
}

impl Acquiring {
    pub(super) fn begin(commands: Commands, terms: Arc<Terms>, trace: CallTrace) -> Self {
        let asked_at = commands.now();
        let mut new = Self {
            call: Arc::new(Call::new(trace, terms.label)),
            waiter: None,
            commands,
            terms: Arc::clone(&terms),
            asked_at,
            is_polled: false,
            #[cfg(feature = "metrics")]
            is_answered: false,
        };
        #[cfg(feature = "metrics")]
        new.call.measured().asks();
        new.join(terms);
        new
    }

    fn join(&mut self, terms: Arc<Terms>) {
        let Some((waiter, is_first)) = self.commands.join(terms, &self.call) else {
            return;
        };
        // Set before the event, so that a subscriber that panics leaves no waiter behind.
        self.waiter = Some(waiter);
        if !is_first {
            let shared = self.commands.shared();
            observe::waiting(shared, &self.call, &self.terms.key, None);
        }
    }

    fn waited(&self) -> Duration {
        self.commands.now().since(self.asked_at)
    }

    /// The lease went to the next waiter. Asks anew with the rest of the wait.
    fn ask_anew(&mut self) -> Result<(), Error> {
        let waited = self.waited();
        let wait = match self.terms.wait {
            Wait::Forever => Wait::Forever,
            Wait::For(wait) => Wait::For(wait.saturating_sub(waited)),
        };
        if wait == Wait::For(Duration::ZERO) {
            let key = self.terms.key.shared();
            return Err(Error::Missed { key, waited });
        }
        self.call = Arc::new(Call::new(self.call.trace().clone(), self.terms.label));
        self.join(Arc::new(Terms {
            wait,
            ..Terms::clone(&self.terms)
        }));
        Ok(())
    }

    /// The caller takes up what it gets.
    fn observed(&self, mut answer: Result<Grant, Error>) -> Result<Grant, Error> {
        let shared = self.commands.shared();
        if shared.is_observed() {
            let now = self.commands.now();
            let result = match &mut answer {
                Ok(grant) => {
                    grant.taken_up = Some(now);
                    Ok(grant.lease.fencing_token())
                }
                Err(error) => Err(&*error),
            };
            let waited = now.since(self.asked_at);
            observe::answered(shared, &self.call, &self.terms.key, result, waited);
        }
        answer
    }
}

impl Future for Acquiring {
    type Output = Result<Grant, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let Poll::Ready(answer) = self.call.poll(cx) else {
                // In a forked process no answer comes. Not checked at the first poll, right after
                // the request: the check costs as much as a handover.
                if mem::replace(&mut self.is_polled, true) {
                    self.commands.shared().check_process()?;
                }
                return Poll::Pending;
            };
            self.waiter = None;
            let answer = match answer {
                Answer::Granted(grant) => Ok(grant),
                Answer::Refused(error) => Err(error.after_waiting(self.waited())),
                Answer::Missed => match self.ask_anew() {
                    Ok(()) => continue,
                    Err(error) => Err(error),
                },
            };
            #[cfg(feature = "metrics")]
            {
                self.is_answered = true;
            }
            return Poll::Ready(self.observed(answer));
        }
    }
}

impl Drop for Acquiring {
    fn drop(&mut self) {
        #[cfg(feature = "metrics")]
        if !self.is_answered && !self.commands.is_forked() {
            shielded(|| observe::cancelled(&self.call, self.waited()));
        }
        if let Some(waiter) = self.waiter.take() {
            self.call.leave();
            self.commands
                .leave(&LineName::of(&self.terms, waiter), waiter);
        }
    }
}

/// The responsibility for a lease; dropping it releases in the background.
pub(crate) struct Grant {
    lease: Lease,
    /// Those of the other keys of the lease.
    others: Vec<Grant>,
    /// Keeps the I/O thread alive, which sends the release.
    commands: Commands,
    is_over: bool,
    /// Whether its `min_hold` counts.
    keeps: bool,
    /// When the caller got it, if metrics or listeners are told how long it is held.
    taken_up: Option<Time>,
}

impl Grant {
    pub(super) fn new(lease: Lease, commands: Commands) -> Self {
        Self {
            lease,
            others: Vec::new(),
            commands,
            is_over: false,
            keeps: true,
            taken_up: None,
        }
    }

    /// Makes one of all these, which are in the order of their keys. Returns `None` if there is none.
    pub(crate) fn joined(grants: Vec<Self>) -> Option<Self> {
        let mut grants = grants.into_iter();
        let mut joined = grants.next()?;
        joined.others = grants.collect();
        joined.count_min_hold(true);
        if !joined.others.is_empty() {
            let others = joined.others.iter().map(Self::lease);
            joined.lease = Lease::joined(&joined.lease, others);
        }
        Some(joined)
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Whether other calls are kept out for the rest of its `min_hold` after the release.
    pub(crate) fn count_min_hold(&mut self, counts: bool) {
        self.keeps = counts;
        for other in &mut self.others {
            other.count_min_hold(counts);
        }
    }

    /// Hands the lease over to the next waiter of this process, or releases it and waits until the
    /// server has confirmed that or its first answer is overdue.
    ///
    /// All of it is under way before the first await, so dropping the future does not stop it.
    pub(crate) async fn release(mut self) {
        let others = mem::take(&mut self.others).into_iter();
        let first = self.begin_release();
        // Allocates nothing for one key.
        let others: Vec<_> = others.filter_map(Self::begin_release).collect();
        for confirmed in first.into_iter().chain(others) {
            // An error means that the thread is gone, so nothing is left to release.
            drop(confirmed.await);
        }
    }

    fn begin_release(mut self) -> Option<oneshot::Receiver<Result<(), Error>>> {
        let keeps = self.keeps;
        let (commands, tenure) = self.finish()?;
        let (done, confirmed) = oneshot::channel();
        commands.hand_over(tenure, keeps, Some(Reply::Call(done)));
        Some(confirmed)
    }

    /// Returns what is needed to give the lease back; `None` from the second call on.
    fn finish(&mut self) -> Option<(&Commands, &Arc<Tenure>)> {
        // A forked process has a copy of the grant; the lease belongs to its parent.
        if mem::replace(&mut self.is_over, true) || self.commands.is_forked() {
            return None;
        }
        self.lease.release();
        match self.taken_up {
            Some(since) => {
                let held = self.commands.now().since(since);
                let shared = self.commands.shared();
                shielded(|| observe::finished(shared, &self.lease, held));
            }
            #[cfg(feature = "metrics")]
            None => shielded(|| self.lease.call().measured().undelivered()),
            #[cfg(not(feature = "metrics"))]
            None => {}
        }
        Some((&self.commands, self.lease.tenure()))
    }

    /// Forgets a grant that could not be delivered, without a release: another caller gets the
    /// lease.
    pub(super) fn forget(mut self) {
        self.is_over = true;
        #[cfg(feature = "metrics")]
        shielded(|| self.lease.call().measured().undelivered());
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lease.fmt(f)
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        let keeps = self.keeps;
        if let Some((commands, tenure)) = self.finish() {
            commands.hand_over(tenure, keeps, None);
        }
    }
}
