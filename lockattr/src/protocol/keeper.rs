//! All acquisitions of a pool: their timers, and what they send next.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::acquisition::{Acquisition, AskAgain, Step, Terms};
use super::lanes::Lanes;
use super::{Batch, Notice};
use crate::backend::{Attempt, AttemptId, Capabilities, Claim, Event, LeaseId, OwnerIds, Waiting};
use crate::clock::Time;
#[cfg(feature = "testing")]
use crate::key::Key;
use crate::{Error, LossReason, timing};

/// Limits that a pool sets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How many acquires may be in flight.
    pub(crate) in_flight: usize,
    /// How long the answer to an attempt is awaited.
    pub(crate) response_timeout: Duration,
    /// How long a waiter that is gone may delay the waiters behind it.
    pub(crate) claim_window: Duration,
    /// How long a lease is passed on inside the process.
    pub(crate) batch: Batch,
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(crate) struct Keeper {
    acquisitions: HashMap<LeaseId, Entry>,
    timers: BTreeSet<(Time, LeaseId)>,
    lanes: Lanes,
    acquires_in_flight: usize,
    asking: usize,
    notices: VecDeque<(LeaseId, Notice)>,
    overdue: Vec<AttemptId>,
    /// The latest attempt that became overdue, and when it was sent: its late answer still measures
    /// the round trip.
    abandoned: Option<(AttemptId, Time)>,
    round_trip: Option<Duration>,
    limits: Limits,
    capabilities: Capabilities,
    owners: OwnerIds,
    jitter: fastrand::Rng,
    closed: bool,
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
struct Entry {
    acquisition: Acquisition,
    /// The backend's lane of its key.
    lane: usize,
    /// Its entry in `timers`.
    wakeup: Time,
}

impl Keeper {
    pub(crate) fn new(
        limits: Limits,
        capabilities: Capabilities,
        owners: OwnerIds,
        jitter: fastrand::Rng,
    ) -> Self {
        Self {
            acquisitions: HashMap::new(),
            timers: BTreeSet::new(),
            lanes: Lanes::new(capabilities.lanes.count()),
            acquires_in_flight: 0,
            asking: 0,
            notices: VecDeque::new(),
            overdue: Vec::new(),
            abandoned: None,
            round_trip: None,
            limits,
            capabilities,
            owners,
            jitter,
            closed: false,
        }
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// A queue wants a lease with this number of fencing tokens. Every call ends in one
    /// [`Notice::Acquired`] or [`Notice::Failed`], unless [`release`](Self::release) comes first.
    pub(crate) fn acquire(&mut self, now: Time, id: LeaseId, terms: Arc<Terms>, tokens: u32) {
        if self.closed {
            return self
                .notices
                .extend([(id, Notice::Failed(Error::Closed)), (id, Notice::Withdrawn)]);
        }
        // The confirming renewal may stand behind the confirmation of another key.
        let behind = terms
            .confirmation
            .map_or(Duration::ZERO, |asked| asked.within);
        let claim = Claim {
            ttl: (timing::claim_ttl(self.limits.claim_window, terms.ttl) + behind).min(terms.ttl),
            tokens,
        };
        let owner = self.owners.first(id);
        let lane = self.capabilities.lanes.of(terms.key.as_str());
        let acquisition = Acquisition::new(terms, owner, claim, self.limits.response_timeout, now);
        self.asking += 1;
        let entry = Entry {
            acquisition,
            lane,
            wakeup: Time::NEVER,
        };
        self.acquisitions.insert(id, entry);
        self.step(now, id, |_, _| {});
    }

    /// Re-targets a fresh grant to a waiter with other terms. Returns the new end of its validity, or
    /// `None` if it is no longer held.
    pub(crate) fn adopt(&mut self, now: Time, id: LeaseId, terms: Arc<Terms>) -> Option<Time> {
        self.step(now, id, |acquisition, _| acquisition.adopt(terms, now))?
    }

    /// The caller has finished with its lease, or wants none any longer.
    pub(crate) fn release(&mut self, now: Time, id: LeaseId) {
        self.step(now, id, Acquisition::relinquish);
    }

    /// The same without a `min_hold`: what the lease was for has failed.
    pub(crate) fn release_at_once(&mut self, now: Time, id: LeaseId) {
        self.step(now, id, Acquisition::relinquish_at_once);
    }

    /// The holder wants its lease to last `ttl` from now on. Each call is answered by one
    /// [`Notice::Extended`] with its `number`, once a renewal that was sent after the call was
    /// confirmed or has failed.
    pub(crate) fn extend(&mut self, now: Time, id: LeaseId, number: u64, ttl: Duration) {
        self.step(now, id, |acquisition, step| {
            acquisition.extend(number, ttl, step);
        });
    }

    /// Reserves tokens for this number of further holders.
    pub(crate) fn refill(&mut self, now: Time, id: LeaseId, tokens: u32) {
        self.step(now, id, |acquisition, _| acquisition.refill(tokens, now));
    }

    /// Takes in an event of the backend.
    pub(crate) fn on_event(&mut self, now: Time, event: Event) {
        match event {
            Event::Done(attempt, outcome) => {
                let has_answer = outcome.is_ok();
                let sent_at = self.step(now, attempt.lease, |acquisition, step| {
                    acquisition.on_outcome(attempt.number, outcome, step)
                });
                let late = self.abandoned.take_if(|(id, _)| *id == attempt);
                let sent_at = sent_at.flatten().or(late.map(|(_, sent_at)| sent_at));
                if has_answer && let Some(sent_at) = sent_at {
                    self.round_trip = Some(now.since(sent_at));
                }
            }
            Event::HandedOver {
                owner,
                granted,
                since,
                ttl,
            } => {
                self.step(now, owner.lease, |acquisition, step| {
                    acquisition.on_handoff(&owner, granted, since, ttl, step);
                });
            }
            Event::Reconnected => {
                for id in self.ids() {
                    self.step(now, id, |acquisition, _| acquisition.nudge(now));
                }
            }
            Event::Room => {}
        }
    }

    /// Acts on the time; due when [`wakeup`](Self::wakeup) is reached.
    pub(crate) fn on_time(&mut self, now: Time) {
        while let Some(&(at, id)) = self.timers.first() {
            if at > now {
                break;
            }
            let mut overdue = None;
            self.step(now, id, |acquisition, step| {
                overdue = acquisition.on_timer(step);
            });
            if let Some((attempt, _)) = overdue {
                self.overdue.push(attempt);
                self.abandoned = overdue;
            }
        }
    }

    /// When [`on_time`](Self::on_time) is due.
    pub(crate) fn wakeup(&self) -> Time {
        self.timers.first().map_or(Time::NEVER, |(at, _)| *at)
    }

    /// Begins a round of sending; `room` returns each lane's room.
    pub(crate) fn begin_sending(&mut self, room: impl Fn(usize, usize) -> usize) {
        self.lanes.begin(room);
    }

    /// The next attempt to send in this round, counted as sent at `now`.
    pub(crate) fn next_attempt(&mut self, now: Time) -> Option<Attempt> {
        while let Some((lane, id)) = self.lanes.pop(self.may_acquire()) {
            let has_queue = self.capabilities.has_queue();
            let begun = self.step(now, id, |acquisition, _| acquisition.begin(now, has_queue));
            if let Some(attempt) = begun.flatten() {
                self.lanes.sent(lane);
                return Some(attempt);
            }
        }
        None
    }

    /// Whether [`next_attempt`](Self::next_attempt) has an attempt, as far as there is room.
    pub(crate) fn has_attempts(&self) -> bool {
        self.lanes.has_next(self.may_acquire())
    }

    fn may_acquire(&self) -> bool {
        self.acquires_in_flight < self.limits.in_flight
    }

    /// Returns the next notice.
    pub(crate) fn next_notice(&mut self) -> Option<(LeaseId, Notice)> {
        self.notices.pop_front()
    }

    /// Returns the attempts that became overdue since the last call.
    pub(crate) fn take_overdue(&mut self) -> Vec<AttemptId> {
        mem::take(&mut self.overdue)
    }

    /// Refuses new acquisitions: those without a lease fail, those with one lose it.
    pub(crate) fn close(&mut self, now: Time) {
        self.closed = true;
        for id in self.ids() {
            self.step(now, id, |acquisition, step| {
                acquisition.lose(LossReason::Shutdown, step);
                if !acquisition.is_over() {
                    acquisition.fail_with(Error::Closed, step);
                    acquisition.relinquish(step);
                }
            });
        }
    }

    /// Ends the leases of a key, as if the lock service had said that they are gone.
    #[cfg(feature = "testing")]
    pub(crate) fn lose(&mut self, now: Time, key: &Key) {
        for id in self.ids() {
            self.step(now, id, |acquisition, step| {
                if acquisition.key() == key {
                    acquisition.lose(LossReason::Gone, step);
                }
            });
        }
    }

    /// Releases every lease, whether or not its holder has finished.
    pub(crate) fn release_all(&mut self, now: Time) {
        for id in self.ids() {
            self.release_at_once(now, id);
        }
    }

    /// Forgets all acquisitions. Owner ids are not used again, since new acquisitions have other ids.
    pub(crate) fn clear(&mut self) {
        let jitter = self.jitter.fork();
        let (capabilities, owners) = (self.capabilities.clone(), self.owners.clone());
        let forgotten = mem::replace(self, Self::new(self.limits, capabilities, owners, jitter));
        self.closed = forgotten.closed;
    }

    pub(crate) fn claim_window(&self) -> Duration {
        self.limits.claim_window
    }

    /// How many acquisitions may have something on the server, or may still get it.
    pub(crate) fn unfinished(&self) -> usize {
        self.acquisitions.len()
    }

    /// Whether something of an unwanted acquisition may still be on the server.
    pub(crate) fn is_releasing(&self) -> bool {
        let mut entries = self.acquisitions.values();
        entries.any(|entry| entry.acquisition.is_unwanted())
    }

    fn ids(&self) -> Vec<LeaseId> {
        self.acquisitions.keys().copied().collect()
    }

    /// Applies `happen` to one acquisition, then updates counters, lanes and timers.
    fn step<T>(
        &mut self,
        now: Time,
        id: LeaseId,
        happen: impl FnOnce(&mut Acquisition, &mut Step<'_>) -> T,
    ) -> Option<T> {
        let entry = self.acquisitions.get_mut(&id)?;
        let acquisition = &mut entry.acquisition;
        let (was_asking, was_in_flight) =
            (acquisition.is_asking(), acquisition.is_acquire_in_flight());
        let ask_again = match self.capabilities.waiting {
            Waiting::Queue => {
                AskAgain::Queued(timing::recheck(self.limits.claim_window, self.asking))
            }
            Waiting::Poll(first, last) => AskAgain::Polled {
                first,
                last,
                least: timing::least_poll_pause(last, self.asking),
            },
        };
        let result = happen(
            acquisition,
            &mut Step {
                now,
                jitter: &mut self.jitter,
                notices: &mut self.notices,
                ask_again,
                round_trip: self.round_trip,
            },
        );

        count(
            &mut self.acquires_in_flight,
            was_in_flight,
            acquisition.is_acquire_in_flight(),
        );
        count(&mut self.asking, was_asking, acquisition.is_asking());
        if let Some(urgency) = acquisition.line_up(now) {
            self.lanes.push(entry.lane, urgency, id);
        }
        let wakeup = if acquisition.is_done() {
            Time::NEVER
        } else {
            acquisition.wakeup()
        };
        if wakeup != entry.wakeup {
            self.timers.remove(&(entry.wakeup, id));
            entry.wakeup = wakeup;
            if wakeup != Time::NEVER {
                self.timers.insert((wakeup, id));
            }
        }

        if acquisition.is_done() {
            self.acquisitions.remove(&id);
        }
        Some(result)
    }
}

fn count(counter: &mut usize, was: bool, is: bool) {
    match (was, is) {
        (false, true) => *counter += 1,
        (true, false) => *counter -= 1,
        _ => {}
    }
}

/// For the model: what distinguishes two keepers. Timers follow from the rest, and
/// [`Keeper::reseed`] makes jitter the same for all.
#[cfg(test)]
mod fingerprint {
    use std::hash::{Hash, Hasher};

    use super::Keeper;
    use crate::backend::hash_unordered;

    impl Hash for Keeper {
        fn hash<H: Hasher>(&self, state: &mut H) {
            hash_unordered(&self.acquisitions, state);
            self.lanes.hash(state);
            self.closed.hash(state);
        }
    }

    impl Keeper {
        pub(in crate::protocol) fn reseed(&mut self) {
            self.jitter.seed(7);
        }
    }
}

#[cfg(test)]
mod tests;
