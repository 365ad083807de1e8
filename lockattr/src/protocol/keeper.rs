//! All acquisitions of a pool: their timers, their turns, and what is sent next.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use super::Notice;
use super::acquisition::{Acquisition, Step, Terms};
use super::lanes::Lanes;
use super::turns::Turns;
use crate::backend::{Attempt, AttemptId, Event};
use crate::clock::Time;
use crate::owner::OwnerIds;
use crate::spec::Wait;
use crate::{Error, LossReason};

/// Bounds that a pool sets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How many attempts may be in flight when an acquire is sent.
    pub(crate) in_flight: usize,
    /// How long an attempt is waited for.
    pub(crate) response_timeout: Duration,
}

#[derive(Debug)]
pub(crate) struct Keeper {
    acquisitions: HashMap<u64, Entry>,
    timers: BTreeSet<(Time, u64)>,
    turns: Turns,
    lanes: Lanes,
    in_flight: usize,
    notices: VecDeque<(u64, Notice)>,
    overdue: Vec<AttemptId>,
    limits: Limits,
    owners: OwnerIds,
    jitter: fastrand::Rng,
    closed: bool,
}

#[derive(Debug)]
struct Entry {
    acquisition: Acquisition,
    /// What stands in `timers` for it.
    wakeup: Time,
    /// Whether it has left the local queue.
    has_left: bool,
}

impl Keeper {
    pub(crate) fn new(limits: Limits, owners: OwnerIds, jitter: fastrand::Rng) -> Self {
        Self {
            acquisitions: HashMap::new(),
            timers: BTreeSet::new(),
            turns: Turns::default(),
            lanes: Lanes::default(),
            in_flight: 0,
            notices: VecDeque::new(),
            overdue: Vec::new(),
            limits,
            owners,
            jitter,
            closed: false,
        }
    }

    /// A caller wants a lease. Every call ends in one [`Notice::Acquired`] or [`Notice::Failed`],
    /// unless [`release`](Self::release) comes first.
    pub(crate) fn acquire(&mut self, now: Time, id: u64, terms: Terms) {
        if self.closed {
            return self
                .notices
                .extend([(id, Notice::Failed(Error::Closed)), (id, Notice::Withdrawn)]);
        }
        let (key, tries_once) = (terms.key.clone(), terms.wait == Wait::For(Duration::ZERO));
        let ahead = self.turns.front(&key);
        let is_busy = ahead.is_some_and(|(front, queued)| {
            queued > 1 || self.acquisitions[&front].acquisition.is_in_the_way()
        });

        let owner = self.owners.first(id);
        let mut acquisition = Acquisition::new(terms, owner, self.limits.response_timeout, now);
        if tries_once && ahead.is_some() && !is_busy {
            acquisition.outwait_release();
        }
        self.turns.join(&key, id);
        self.acquisitions.insert(
            id,
            Entry {
                acquisition,
                wakeup: Time::NEVER,
                has_left: false,
            },
        );
        if ahead.is_none() {
            return self.step(now, id, Acquisition::start);
        }
        self.blame_front(now, id);
        self.step(now, id, |acquisition, step| {
            if tries_once && is_busy {
                acquisition.give_up(step);
            } else {
                acquisition.tell_waiting(step);
            }
        });
    }

    /// The caller is finished with its lease, or wants none any longer.
    pub(crate) fn release(&mut self, now: Time, id: u64) {
        self.step(now, id, Acquisition::relinquish);
    }

    /// The caller wants its lease to last `ttl` from now on.
    pub(crate) fn extend(&mut self, now: Time, id: u64, ttl: Duration) {
        self.step(now, id, |acquisition, step| acquisition.extend(ttl, step));
    }

    /// The lock service has something to tell.
    pub(crate) fn on_event(&mut self, now: Time, event: Event) {
        match event {
            Event::Done(
                AttemptId {
                    acquisition,
                    number,
                },
                outcome,
            ) => {
                self.step(now, acquisition, |acquisition, step| {
                    acquisition.on_outcome(number, outcome, step)
                });
            }
            Event::Granted {
                owner,
                token,
                since,
            } => {
                self.step(now, owner.acquisition, |acquisition, step| {
                    acquisition.on_handoff(owner.generation, token, since, step);
                });
            }
            Event::Reconnected => {
                for id in self.ids() {
                    self.step(now, id, |acquisition, _| acquisition.nudge(now));
                }
            }
        }
    }

    /// Time has passed; due whenever [`wakeup`](Self::wakeup) is reached.
    pub(crate) fn on_time(&mut self, now: Time) {
        while let Some(&(at, id)) = self.timers.first() {
            if at > now {
                break;
            }
            self.blame_front(now, id);
            let mut overdue = None;
            self.step(now, id, |acquisition, step| {
                overdue = acquisition.on_timer(step);
            });
            self.overdue.extend(overdue);
        }
    }

    /// When [`on_time`](Self::on_time) is due.
    pub(crate) fn wakeup(&self) -> Time {
        self.timers.first().map_or(Time::NEVER, |(at, _)| *at)
    }

    /// The next attempt to send, counted as sent at `now`.
    pub(crate) fn next_attempt(&mut self, now: Time) -> Option<Attempt> {
        while let Some(id) = self.lanes.pop(self.in_flight, self.limits.in_flight) {
            let mut attempt = None;
            self.step(now, id, |acquisition, _| attempt = acquisition.begin(now));
            if attempt.is_some() {
                return attempt;
            }
        }
        None
    }

    /// The next thing to tell somebody.
    pub(crate) fn next_notice(&mut self) -> Option<(u64, Notice)> {
        self.notices.pop_front()
    }

    /// The attempts that nobody waits for any longer, since the last call.
    pub(crate) fn take_overdue(&mut self) -> Vec<AttemptId> {
        std::mem::take(&mut self.overdue)
    }

    /// No more acquisitions: those without a lease fail, those with one are told that it is lost.
    pub(crate) fn close(&mut self, now: Time) {
        self.closed = true;
        for id in self.ids() {
            self.step(now, id, |acquisition, step| {
                acquisition.lose(LossReason::Shutdown, step);
                if !acquisition.turn_is_over() {
                    acquisition.fail_with(Error::Closed, step);
                    acquisition.relinquish(step);
                }
            });
        }
    }

    /// Releases every lease, whether or not its holder is finished with it.
    pub(crate) fn release_all(&mut self, now: Time) {
        for id in self.ids() {
            self.release(now, id);
        }
    }

    /// How many acquisitions may have something on the server, or hope to.
    pub(crate) fn unfinished(&self) -> usize {
        self.acquisitions.len()
    }

    /// Lets one that is parked know why the one ahead of it is not getting on.
    fn blame_front(&mut self, now: Time, id: u64) {
        let Some(entry) = self.acquisitions.get(&id) else {
            return;
        };
        if !entry.acquisition.is_parked() {
            return;
        }
        let front = self
            .turns
            .front(entry.acquisition.key())
            .map(|(front, _)| &self.acquisitions[&front].acquisition);
        let failure = front.and_then(|front| front.last_failure().cloned());
        let held_until = front.and_then(Acquisition::held_until);
        self.step(now, id, |acquisition, _| {
            acquisition.blame(failure, held_until);
        });
    }

    fn ids(&self) -> Vec<u64> {
        self.acquisitions.keys().copied().collect()
    }

    /// Lets something happen to one acquisition, and draws the consequences.
    fn step<T>(
        &mut self,
        now: Time,
        id: u64,
        happen: impl FnOnce(&mut Acquisition, &mut Step<'_>) -> T,
    ) {
        let Some(entry) = self.acquisitions.get_mut(&id) else {
            return;
        };
        let acquisition = &mut entry.acquisition;
        let was_in_flight = acquisition.in_flight().is_some();
        happen(
            acquisition,
            &mut Step {
                now,
                jitter: &mut self.jitter,
                notices: &mut self.notices,
            },
        );

        match (was_in_flight, acquisition.in_flight().is_some()) {
            (false, true) => self.in_flight += 1,
            (true, false) => self.in_flight -= 1,
            _ => {}
        }
        if let Some(lane) = acquisition.line_up(now) {
            self.lanes.push(lane, id);
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

        let mut next = None;
        if acquisition.turn_is_over() && !entry.has_left {
            entry.has_left = true;
            next = self.turns.leave(acquisition.key(), id);
        }
        if acquisition.is_done() {
            self.acquisitions.remove(&id);
        }
        if let Some(next) = next {
            self.step(now, next, Acquisition::start);
        }
    }
}
