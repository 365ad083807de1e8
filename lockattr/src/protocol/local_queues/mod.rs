//! The order of the calls inside a process: one queue per key, first come, first served.
//!
//! A process asks the lock service for one lease per key at a time, whatever number of its tasks
//! want the key. That lease is passed on from task to task without a request to the service, each
//! under a greater fencing token, until a batch is over; then other processes have their turn. This
//! is the "cohort lock" of Dice, Marathe and Shavit (2012), with leases for locks.
//!
//! The queues have no threads: callers and the I/O thread share them behind one mutex.

mod line;
mod line_name;
mod offers;
#[cfg(test)]
mod tests;
mod tokens;
mod waiter;
mod waiting;
mod waits;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::{Limits, Terms};
use crate::Error;
use crate::backend::{BackendError, Granted, LeaseId};
use crate::clock::Time;
use crate::spec::Wait;
use line::{Line, Stage, tries_once};
pub(crate) use line_name::LineName;
pub(crate) use waiter::{Failures, Handover, Joined, Order, Waiter};
use waiting::Waiting;

/// How long a lease may stay in one process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batch {
    /// How many holders one after the other; 1 switches handovers off.
    pub(crate) size: u32,
    pub(crate) time: Duration,
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(crate) struct LocalQueues<C> {
    lines: HashMap<LineName, Line<C>>,
    /// When the wait of each waiter is over.
    deadlines: BTreeMap<(Time, u64), LineName>,
    /// When the holder of each tenure is checked, see [`offers`].
    offers: offers::Offers,
    next_id: u64,
    limits: Limits,
    /// Whether a lease can be renewed for longer than it was asked for.
    longer_renewals: bool,
    closed: bool,
}

impl<C> LocalQueues<C> {
    pub(crate) fn new(limits: Limits, longer_renewals: bool) -> Self {
        Self {
            lines: HashMap::new(),
            deadlines: BTreeMap::new(),
            offers: offers::Offers::new(),
            next_id: 0,
            limits,
            longer_renewals,
            closed: false,
        }
    }

    /// A caller wants a key.
    pub(crate) fn join(&mut self, now: Time, terms: Arc<Terms>, caller: C) -> Joined<C> {
        if self.closed {
            return Joined::Refused(caller, Error::Closed);
        }
        let batch = self.limits.batch;
        let id = self.new_id();
        let name = LineName::of(&terms, id);
        let line = self.lines.get_mut(&name);
        if let Some(line) = &line
            && tries_once(&terms)
        {
            return Joined::Refused(caller, line.busy(now, &terms, now));
        }
        let until = match terms.wait {
            Wait::For(wait) if !wait.is_zero() => now + wait,
            // The keeper answers a caller that tries once.
            _ => Time::NEVER,
        };
        let waiter = Waiter {
            id,
            terms: Arc::clone(&terms),
            asked_at: now,
            until,
            is_last_chance: false,
            caller,
        };
        if let Some(line) = line {
            line.waiting.push_back(waiter);
            let order = line.wants_refill(now, batch);
            self.set_deadline(until, id, &name);
            return Joined::Behind { waiter: id, order };
        }
        self.set_deadline(until, id, &name);
        let line = Line {
            lease: self.new_lease(),
            terms,
            stage: Stage::ASKED,
            waiting: Waiting::of(waiter),
            held_until: None,
            held_by: None,
            offer_checked_at: None,
        };
        let order = line.ask(&name, batch);
        self.lines.insert(name, line);
        Joined::First { waiter: id, order }
    }

    /// A waiter leaves. Returns it, since its caller may run foreign code when dropped.
    pub(crate) fn leave(
        &mut self,
        name: &LineName,
        waiter: u64,
    ) -> (Option<Waiter<C>>, Option<Order>) {
        (self.remove(name, waiter), self.withdraw_if_deserted(name))
    }

    /// Returns the terms of the first waiter, if the lease was asked for under other terms, of a
    /// waiter that has left since. They are the lease's from now on, unless they ask for more than the
    /// lease is good for.
    pub(crate) fn adopt(&mut self, name: &LineName, id: LeaseId) -> Option<Arc<Terms>> {
        let longer = self.longer_renewals;
        let line = self.line_of(name, id)?;
        let differs = |front: &&Waiter<C>| !line.suits(front) && line.is_good_for(front, longer);
        let front = line.waiting.front().filter(differs)?;
        line.terms = Arc::clone(&front.terms);
        Some(Arc::clone(&line.terms))
    }

    /// The lease was granted, under the terms of the first waiter.
    pub(crate) fn granted(
        &mut self,
        now: Time,
        name: &LineName,
        id: LeaseId,
        granted: Granted,
        valid_until: Time,
    ) -> Handover<C> {
        let (batch, longer) = (self.limits.batch, self.longer_renewals);
        let Some(line) = self.line_of(name, id) else {
            return Handover::Over { next: None };
        };
        line.held_until = Some(valid_until);
        let front = line.waiting.front();
        if front.is_none_or(|front| !line.is_good_for(front, longer)) {
            return self.start_over(name);
        }
        let token = line.hold(now, granted, batch);
        self.pass(now, name, token)
    }

    /// A holder has finished with its lease.
    pub(crate) fn released(&mut self, now: Time, name: &LineName, id: LeaseId) -> Handover<C> {
        let claim_window = self.limits.claim_window;
        let Some(line) = self.line_of(name, id) else {
            return Handover::Over { next: None };
        };
        let enough = line::enough(claim_window, line.terms.ttl);
        match line.pass(now, enough) {
            Some(token) => self.pass(now, name, token),
            None => self.start_over(name),
        }
    }

    /// The lease was lost while its holder still works.
    pub(crate) fn lost(&mut self, name: &LineName, id: LeaseId) -> Option<Order> {
        self.line_of(name, id)?;
        match self.start_over(name) {
            Handover::Over { next } => next,
            Handover::Passed { order, .. } => order,
        }
    }

    /// The lease was renewed.
    pub(crate) fn renewed(
        &mut self,
        name: &LineName,
        id: LeaseId,
        contended: bool,
        valid_until: Time,
    ) {
        if let Some(line) = self.line_of(name, id) {
            line.renewed(contended, valid_until);
        }
    }

    /// More tokens were reserved.
    pub(crate) fn reserved(&mut self, now: Time, name: &LineName, id: LeaseId, granted: Granted) {
        let batch = self.limits.batch;
        if let Some(line) = self.line_of(name, id) {
            line.refill(now, granted, batch);
        }
    }

    /// The holder of `token` changes the terms of its lease, which is not passed on from now on.
    /// Returns whether it still is the holder.
    pub(crate) fn extended(&mut self, name: &LineName, id: LeaseId, token: u64) -> bool {
        self.line_of(name, id)
            .is_some_and(|line| line.keep_for(token))
    }

    /// Another lease has the key. Returns what `look` returns for the first waiter's caller, if
    /// this is news to it.
    pub(crate) fn held<T>(
        &mut self,
        now: Time,
        name: &LineName,
        id: LeaseId,
        (ends_in, holder): (Duration, Option<Arc<str>>),
        look: impl FnOnce(&C) -> T,
    ) -> (Option<T>, Failures<C>) {
        let mut failures = Failures::none();
        let mut is_news = false;
        if let Some(line) = self.line_of(name, id) {
            line.held_until = Some(now + ends_in);
            line.held_by = holder;
            is_news = line.awaits_first_answer();
            line.stage = Stage::Asking {
                answered: true,
                trouble: None,
            };
            self.refuse_last_chance(now, name, &mut failures);
        }
        let line = self.lines.get(name).filter(|_| is_news);
        let front = line.and_then(|line| line.waiting.front());
        (front.map(|waiter| look(&waiter.caller)), failures)
    }

    /// Returns what `look` returns for the caller on whose behalf the lease is asked for.
    pub(crate) fn first<T>(
        &mut self,
        name: &LineName,
        id: LeaseId,
        look: impl FnOnce(&C) -> T,
    ) -> Option<T> {
        let line = self.line_of(name, id)?;
        line.waiting.front().map(|waiter| look(&waiter.caller))
    }

    /// The lock service failed, and is asked again.
    pub(crate) fn troubled(
        &mut self,
        now: Time,
        name: &LineName,
        id: LeaseId,
        error: BackendError,
    ) {
        let response_timeout = self.limits.response_timeout;
        let Some(line) = self.line_of(name, id) else {
            return;
        };
        let was_first = line.awaits_first_answer();
        line.stage = Stage::Asking {
            answered: true,
            trouble: Some(error),
        };
        // The first attempt may have met a connection that was idle for long and is dead, so the
        // answer to the second attempt is awaited too.
        if let Some(front) = line.waiting.front_mut()
            && front.is_last_chance
            && was_first
        {
            let patience = front.terms.patience(response_timeout);
            let (was, id) = (front.until, front.id);
            front.until = now + patience;
            let until = front.until;
            self.deadlines.remove(&(was, id));
            self.set_deadline(until, id, name);
        }
    }

    /// The caller that asked gets no lease.
    pub(crate) fn failed(&mut self, name: &LineName, id: LeaseId, error: Error) -> Failures<C> {
        let mut failures = Failures::none();
        let Some(line) = self.line_of(name, id) else {
            return failures;
        };
        // A caller that waits may have taken the place of an asker that tried only once.
        let is_asker =
            |front: &Waiter<C>| !matches!(error, Error::Busy { .. }) || tries_once(&front.terms);
        if let Some(front) = line.waiting.front().filter(|front| is_asker(front)) {
            let front = front.id;
            let failed = self.remove(name, front);
            failures
                .callers
                .extend(failed.map(|waiter| (waiter, error)));
        }
        if let Handover::Over { next } = self.start_over(name) {
            failures.orders.extend(next);
        }
        failures
    }

    /// Ends the queues. Returns the waiters.
    pub(crate) fn close(&mut self) -> Vec<Waiter<C>> {
        self.closed = true;
        self.clear()
    }

    /// Forgets all leases. Returns the waiters.
    pub(crate) fn clear(&mut self) -> Vec<Waiter<C>> {
        self.deadlines.clear();
        self.offers.clear();
        let lines = self.lines.drain();
        lines
            .flat_map(|(_, line)| line.waiting.into_waiters())
            .collect()
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.deadlines.is_empty() && self.offers.is_empty()
    }

    /// Withdraws the request for a lease if no waiter is left that could get it.
    fn withdraw_if_deserted(&mut self, name: &LineName) -> Option<Order> {
        let line = self.lines.get(name)?;
        if line.waiting.is_empty() && matches!(line.stage, Stage::Asking { .. }) {
            let id = line.lease;
            self.lines.remove(name);
            return Some(Order::Release { id });
        }
        None
    }

    /// Passes the lease to the first waiter.
    fn pass(&mut self, now: Time, name: &LineName, token: u64) -> Handover<C> {
        let line = self.lines.get_mut(name).expect("it has the lease");
        let waiter = line.waiting.pop_front().expect("somebody waits");
        self.deadlines.remove(&(waiter.until, waiter.id));
        let order = line.wants_refill(now, self.limits.batch);
        let check_at = now + self.limits.claim_window;
        offers::watch(&mut self.offers, line, name, check_at);
        Handover::Passed {
            waiter,
            token,
            order,
        }
    }

    /// The next waiter, if there is one, asks for a new lease.
    fn start_over(&mut self, name: &LineName) -> Handover<C> {
        self.forget_offer(name);
        let (id, batch) = (self.new_lease(), self.limits.batch);
        let next = self
            .lines
            .get_mut(name)
            .and_then(|line| line.start(name, id, batch));
        if next.is_none() {
            self.lines.remove(name);
        }
        Handover::Over { next }
    }

    fn remove(&mut self, name: &LineName, waiter: u64) -> Option<Waiter<C>> {
        let line = self.lines.get_mut(name)?;
        let waiter = line.waiting.remove(waiter)?;
        self.deadlines.remove(&(waiter.until, waiter.id));
        Some(waiter)
    }

    fn line_of(&mut self, name: &LineName, id: LeaseId) -> Option<&mut Line<C>> {
        self.lines.get_mut(name).filter(|line| line.lease == id)
    }

    fn new_lease(&mut self) -> LeaseId {
        LeaseId(self.new_id())
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

/// For the model: what distinguishes two processes' queues. Deadlines follow from the rest.
#[cfg(test)]
mod fingerprint {
    use std::hash::{Hash, Hasher};

    use super::LocalQueues;
    use crate::backend::hash_unordered;

    impl<C: Hash> Hash for LocalQueues<C> {
        fn hash<H: Hasher>(&self, state: &mut H) {
            hash_unordered(&self.lines, state);
            self.closed.hash(state);
        }
    }
}
