//! All decisions of a pool: which call has a key, which calls wait for it, and what is sent to the
//! lock service.
//!
//! Its inputs are the requests of callers and the events of the backend, each with its time; its
//! outputs are [`Effect`]s and attempts. It has no clock, no thread and no waker, so the driver,
//! the simulation and the model all run this same code. Callers' threads and the I/O thread share
//! it behind one mutex; a caller's thread does everything that follows from its request, and wakes
//! the I/O thread if [something is left to do](Coordinator::is_due).

mod effect;
mod notices;
mod shutdown;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use std::{iter, mem};

pub(crate) use effect::{Caller, Effect, Queued, Released};

use super::keeper::Keeper;
use super::local_queues::{Failures, Handover, Joined, LocalQueues, Order};
use super::{Limits, LineName, Terms, Waiter};
use crate::backend::{Attempt, AttemptId, Capabilities, Event, LeaseId, OwnerIds};
use crate::clock::Time;
#[cfg(feature = "testing")]
use crate::key::Key;
use shutdown::Shutdown;

/// `C` is a call that waits for a lease, `R` is where an answer to a request goes.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(crate) struct Coordinator<C: Caller, R> {
    queues: LocalQueues<C>,
    keeper: Keeper,
    leases: HashMap<LeaseId, Lease<R>>,
    effects: VecDeque<Effect<C, R>>,
    shutdowns: Vec<Shutdown<R>>,
    /// Requests that are answered once no release is under way.
    drains: Vec<R>,
    /// How many extensions were requested so far.
    extensions: u64,
    /// When the I/O thread wakes up by itself.
    sleeps_until: Time,
    is_over: bool,
}

/// A lease that is asked for, or held, on behalf of callers.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
struct Lease<R> {
    line: LineName,
    is_granted: bool,
    /// The extensions that wait for an answer, by their numbers.
    extensions: Vec<(u64, R)>,
    /// The request that waits for the release.
    release: Option<R>,
    /// Whether the first attempt to release has failed: no request waits for another one.
    is_delayed: bool,
}

/// The state of a coordinator that was cleared. It is dropped outside of the mutex, since it holds
/// foreign code.
pub(crate) struct Forgotten<C: Caller, R> {
    pub(crate) waiters: Vec<Waiter<C>>,
    _leases: HashMap<LeaseId, Lease<R>>,
    pub(crate) effects: VecDeque<Effect<C, R>>,
    _shutdowns: Vec<Shutdown<R>>,
    _drains: Vec<R>,
}

impl<C: Caller, R> Coordinator<C, R> {
    pub(crate) fn new(
        mut limits: Limits,
        capabilities: Capabilities,
        owners: OwnerIds,
        jitter: fastrand::Rng,
    ) -> Self {
        limits.claim_window = limits.claim_window.max(capabilities.least_claim_window);
        if !capabilities.has_token_ranges() {
            // A lease with one token has one holder.
            limits.batch.size = 1;
        }
        Self {
            queues: LocalQueues::new(limits, capabilities.longer_renewals),
            keeper: Keeper::new(limits, capabilities, owners, jitter),
            leases: HashMap::new(),
            effects: VecDeque::new(),
            shutdowns: Vec::new(),
            drains: Vec::new(),
            extensions: 0,
            sleeps_until: Time::NEVER,
            is_over: false,
        }
    }

    /// Ends the leases of a key, as if the lock service had said that they are gone.
    #[cfg(feature = "testing")]
    pub(crate) fn lose(&mut self, now: Time, key: &Key) {
        self.keeper.lose(now, key);
        self.settle(now);
    }

    pub(crate) fn claim_window(&self) -> Duration {
        self.keeper.claim_window()
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        self.keeper.capabilities()
    }

    /// A caller wants a lease. It is answered by one [`Effect::Granted`], [`Released::Passed`] or
    /// [`Effect::Refused`], unless it [leaves](Self::leave) before.
    pub(crate) fn acquire(&mut self, now: Time, terms: Arc<Terms>, caller: C) -> Queued<C> {
        let (waiter, is_first) = match self.queues.join(now, terms, caller) {
            Joined::First { waiter, order } => {
                self.follow(now, [order]);
                (waiter, true)
            }
            Joined::Behind { waiter, order } => {
                self.follow(now, order);
                (waiter, false)
            }
            Joined::Refused(caller, error) => return Queued::Refused(caller, error),
        };
        self.settle(now);
        Queued::Waiting { waiter, is_first }
    }

    /// A caller leaves. Returns its waiter, and whether something is released now.
    pub(crate) fn leave(
        &mut self,
        now: Time,
        line: &LineName,
        waiter: u64,
    ) -> (Option<Waiter<C>>, bool) {
        let (waiter, order) = self.queues.leave(line, waiter);
        let is_releasing = order.is_some();
        self.follow(now, order);
        self.settle(now);
        (waiter, is_releasing)
    }

    /// A holder has finished; `keeps` says whether its `min_hold` counts. If the lease goes back to the lock service, `request` is taken, and
    /// answered once the release is confirmed or has failed for the first time; it is left if there
    /// is nothing to wait for.
    pub(crate) fn release(
        &mut self,
        now: Time,
        line: &LineName,
        (id, keeps): (LeaseId, bool),
        request: &mut Option<R>,
    ) -> Released<C> {
        match self.queues.released(now, line, id) {
            Handover::Passed {
                waiter,
                token,
                order,
            } => {
                self.follow(now, order);
                self.settle(now);
                Released::Passed { waiter, token }
            }
            Handover::Over { next } => {
                self.give_back(now, (id, keeps), request);
                self.follow(now, next);
                self.settle(now);
                Released::Over
            }
        }
    }

    /// The holder of `token` wants its lease to last `ttl` from now on. From here on the lease is
    /// not passed on, so the extension cannot come to the next holder's lease. Returns the request
    /// if this holder no longer has the lease.
    pub(crate) fn extend(
        &mut self,
        now: Time,
        line: &LineName,
        id: LeaseId,
        (token, ttl): (u64, Duration),
        request: R,
    ) -> Result<(), R> {
        if !self.queues.extended(line, id, token) {
            return Err(request);
        }
        let Some(lease) = self.leases.get_mut(&id) else {
            return Err(request);
        };
        self.extensions += 1;
        lease.extensions.push((self.extensions, request));
        self.keeper.extend(now, id, self.extensions, ttl);
        self.settle(now);
        Ok(())
    }

    /// Checks an offer again later: it was made at `since`, which is not long enough ago.
    pub(crate) fn check_offer(&mut self, line: &LineName, id: LeaseId, since: Time) {
        self.queues.check_offer(line, id, since);
    }

    /// Answers `request` once no release is under way, or returns it if the I/O thread is gone.
    pub(crate) fn drain(&mut self, request: R) -> Result<(), R> {
        if self.is_over {
            return Err(request);
        }
        self.drains.push(request);
        Ok(())
    }

    /// Takes in an event of the backend.
    pub(crate) fn on_event(&mut self, now: Time, event: Event) {
        self.keeper.on_event(now, event);
        self.settle(now);
    }

    /// Acts on the time; due when [`wakeup`](Self::wakeup) is reached, and after events.
    pub(crate) fn on_time(&mut self, now: Time) {
        self.keeper.on_time(now);
        let failures = self.queues.expire(now);
        self.fail(now, failures);
        for (line, lease) in self.queues.offers_due(now) {
            self.effects.push_back(Effect::CheckOffer { lease, line });
        }
        self.settle(now);
        self.go_on_with_shutdowns(now);
        self.settle(now);
        if !self.drains.is_empty() && !self.keeper.is_releasing() {
            let drained = self.drains.drain(..);
            let answers = drained.map(|to| Effect::Answered { to, answer: Ok(()) });
            self.effects.extend(answers);
        }
    }

    /// When [`on_time`](Self::on_time) is due.
    pub(crate) fn wakeup(&self) -> Time {
        let shutdowns = self.shutdowns.iter().map(Shutdown::due);
        let shutdown = shutdowns.min().unwrap_or(Time::NEVER);
        let deadline = self.queues.next_deadline().min(self.keeper.wakeup());
        deadline.min(shutdown)
    }

    /// Returns until when the I/O thread may sleep, unless [`is_due`](Self::is_due) returns true
    /// before.
    pub(crate) fn sleep(&mut self, now: Time) -> Time {
        let wakeup = self.wakeup();
        // Keep the announced deadline even if its waiter has left; otherwise a queue that keeps
        // emptying would wake the I/O thread on every join.
        if self.sleeps_until <= now || wakeup < self.sleeps_until {
            self.sleeps_until = wakeup;
        }
        self.sleeps_until
    }

    /// Whether the I/O thread has something to do before it wakes up by itself.
    pub(crate) fn is_due(&self) -> bool {
        !self.effects.is_empty() || self.keeper.has_attempts() || self.wakeup() < self.sleeps_until
    }

    /// Swaps the effects to be performed for an empty queue.
    pub(crate) fn swap_effects(&mut self, empty: &mut VecDeque<Effect<C, R>>) {
        mem::swap(&mut self.effects, empty);
    }

    /// Adds the attempts to send, as far as the lanes have room for them; they count as sent at `now`.
    pub(crate) fn send(
        &mut self,
        now: Time,
        room: impl Fn(usize, usize) -> usize,
        attempts: &mut Vec<Attempt>,
    ) {
        self.keeper.begin_sending(room);
        attempts.extend(iter::from_fn(|| self.keeper.next_attempt(now)));
    }

    /// Returns the attempts that became overdue since the last call.
    pub(crate) fn take_overdue(&mut self) -> Vec<AttemptId> {
        self.keeper.take_overdue()
    }

    /// How many leases may have something on the server, or may still get it.
    pub(crate) fn unfinished(&self) -> usize {
        self.keeper.unfinished()
    }

    /// Forgets all leases and waiters, but not that the pool was shut down.
    pub(crate) fn clear(&mut self) -> Forgotten<C, R> {
        self.keeper.clear();
        Forgotten {
            waiters: self.queues.clear(),
            _leases: mem::take(&mut self.leases),
            effects: mem::take(&mut self.effects),
            _shutdowns: Vec::new(),
            _drains: mem::take(&mut self.drains),
        }
    }

    /// The I/O thread is gone: every later request is refused.
    pub(crate) fn end(&mut self) -> Forgotten<C, R> {
        self.is_over = true;
        Forgotten {
            waiters: self.queues.close(),
            _shutdowns: mem::take(&mut self.shutdowns),
            ..self.clear()
        }
    }

    fn follow(&mut self, now: Time, orders: impl IntoIterator<Item = Order>) {
        for order in orders {
            match order {
                Order::Ask {
                    id,
                    line,
                    terms,
                    tokens,
                } => {
                    let lease = Lease {
                        line,
                        is_granted: false,
                        extensions: Vec::new(),
                        release: None,
                        is_delayed: false,
                    };
                    self.leases.insert(id, lease);
                    self.keeper.acquire(now, id, terms, tokens);
                }
                Order::Release { id } => self.keeper.release(now, id),
                Order::Refill { id, tokens } => self.keeper.refill(now, id, tokens),
            }
        }
    }

    fn give_back(&mut self, now: Time, (id, keeps): (LeaseId, bool), request: &mut Option<R>) {
        if let Some(lease) = self.leases.get_mut(&id)
            && !lease.is_delayed
        {
            lease.release = request.take();
        }
        if keeps {
            self.keeper.release(now, id);
        } else {
            self.keeper.release_at_once(now, id);
        }
    }

    fn fail(&mut self, now: Time, failures: Failures<C>) {
        let refused = failures.callers.into_iter();
        self.effects
            .extend(refused.map(|(waiter, error)| Effect::Refused { waiter, error }));
        self.follow(now, failures.orders);
    }
}

/// For the simulation and the model.
#[cfg(test)]
mod inspection {
    use std::hash::{Hash, Hasher};

    use super::{Caller, Coordinator};
    use crate::backend::{Attempt, hash_unordered};
    use crate::clock::Time;

    impl<C: Caller + Hash, R: Hash> Hash for Coordinator<C, R> {
        /// What distinguishes two coordinators, once their effects are performed: deadlines follow
        /// from the rest, and [`Coordinator::reseed`] makes jitter the same for all.
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.queues.hash(state);
            self.keeper.hash(state);
            hash_unordered(&self.leases, state);
        }
    }

    impl<C: Caller, R> Coordinator<C, R> {
        pub(in crate::protocol) fn next_effect(&mut self) -> Option<super::Effect<C, R>> {
            self.effects.pop_front()
        }

        pub(in crate::protocol) fn next_attempt(&mut self, now: Time) -> Option<Attempt> {
            self.keeper.begin_sending(|_, waiting| waiting);
            self.keeper.next_attempt(now)
        }

        pub(in crate::protocol) fn reseed(&mut self) {
            self.keeper.reseed();
        }

        pub(in crate::protocol) fn is_idle(&self) -> bool {
            self.queues.is_empty() && self.leases.is_empty() && self.keeper.unfinished() == 0
        }
    }
}

#[cfg(test)]
mod tests;
