//! One key: who has it, and who waits for it.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::backend::{Attempt, Claim, Granted, OwnerId, Reply};
use crate::clock::Time;
use crate::holder;
use crate::key::Key;
use crate::label::Label;
use crate::mode::Mode;
use crate::queue;

/// A lease handed to a waiter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Handoff<W> {
    pub(crate) waiter: W,
    pub(crate) owner: OwnerId,
    pub(crate) granted: Granted,
    /// How long it lasts unless it is renewed.
    pub(crate) ttl: Duration,
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub(super) struct Lock<W> {
    /// Several only where their modes allow it.
    holders: Vec<Holder>,
    queue: VecDeque<Waiter<W>>,
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub(super) struct Holder {
    owner: OwnerId,
    mode: Mode,
    label: Label,
    pub(super) token: u64,
    since: Since,
    pub(super) ends_at: Time,
    /// Whether it has released its lease, which keeps others out until its end.
    has_finished: bool,
}

/// For people only: two servers that differ in it alone act alike.
#[derive(Debug, Clone, Copy)]
struct Since(Time);

#[cfg(test)]
impl std::hash::Hash for Since {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub(super) struct Waiter<W> {
    owner: OwnerId,
    mode: Mode,
    label: Label,
    since: Since,
    claim: Claim,
    address: W,
}

impl Holder {
    pub(super) fn new(attempt: &Attempt, token: u64, (since, ends_at): (Time, Time)) -> Self {
        Self {
            owner: attempt.owner.clone(),
            mode: attempt.mode,
            label: attempt.label,
            token,
            since: Since(since),
            ends_at,
            has_finished: false,
        }
    }
}

impl<W> Lock<W> {
    pub(super) fn new() -> Self {
        Self {
            holders: Vec::new(),
            queue: VecDeque::new(),
        }
    }

    pub(super) fn end_leases(&mut self, now: Time) {
        self.holders.retain(|holder| holder.ends_at > now);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.holders.is_empty() && self.queue.is_empty()
    }

    #[cfg(test)]
    pub(super) fn is_free(&self, now: Time) -> bool {
        self.queue.is_empty() && self.holders.iter().all(|holder| holder.ends_at <= now)
    }

    pub(super) fn has_no_waiter(&self) -> bool {
        self.queue.is_empty()
    }

    /// Returns this owner's lease, and whether others wait.
    pub(super) fn held_by(&mut self, owner: &OwnerId) -> Option<(&mut Holder, bool)> {
        let contended = !self.queue.is_empty();
        let mut holders = self.holders.iter_mut();
        let holder = holders.find(|holder| holder.owner == *owner && !holder.has_finished)?;
        Some((holder, contended))
    }

    /// Whether another holder may come in this mode, beside the present ones; an error is the mode of
    /// theirs that does not go with it.
    pub(super) fn admits(&self, mode: Mode) -> Result<bool, Mode> {
        let mut taken: u64 = 0;
        for holder in &self.holders {
            if !mode.goes_with(holder.mode) {
                return Err(holder.mode);
            }
            taken += match holder.mode {
                Mode::Permits { weight, .. } => u64::from(weight),
                _ => 0,
            };
        }
        Ok(match mode {
            Mode::Exclusive => self.holders.is_empty(),
            Mode::Shared => self
                .holders
                .iter()
                .all(|holder| holder.mode == Mode::Shared),
            Mode::Permits { permits, weight } => taken + u64::from(weight) <= u64::from(permits),
        })
    }

    pub(super) fn add(&mut self, holder: Holder) {
        self.holders.push(holder);
    }

    pub(super) fn queue_up(&mut self, now: Time, attempt: &Attempt, address: W) {
        if self
            .queue
            .iter()
            .any(|waiter| waiter.owner == attempt.owner)
        {
            return;
        }
        self.queue.push_back(Waiter {
            owner: attempt.owner.clone(),
            mode: attempt.mode,
            label: attempt.label,
            since: Since(now),
            claim: attempt.claim,
            address,
        });
    }

    /// Returns whether the owner had a place in the queue.
    pub(super) fn leave(&mut self, owner: &OwnerId) -> bool {
        let before = self.queue.len();
        self.queue.retain(|waiter| waiter.owner != *owner);
        self.queue.len() < before
    }

    pub(super) fn held(&self, now: Time) -> Reply {
        let last = self.holders.iter().map(|holder| holder.ends_at).max();
        Reply::Held {
            ends_in: last.map_or(Duration::ZERO, |last| last.since(now)),
            holder: self
                .holders
                .first()
                .map(|holder| Arc::from(holder.label.to_string())),
        }
    }

    pub(super) fn holders(&self, now: Time, key: &Key) -> Vec<(Time, holder::Holder)> {
        let present = self.holders.iter().filter(|it| it.ends_at > now);
        let mut found: Vec<_> = present
            .map(|it| {
                let ttl_left = it.ends_at.since(now);
                let seen = holder::Holder {
                    fencing_token: Some(it.token),
                    mode: it.mode,
                    has_finished: it.has_finished,
                    waiters: self.queue.len(),
                    ..holder::Holder::new(key.as_str(), &it.label.to_string(), ttl_left)
                };
                (it.since.0, seen)
            })
            .collect();
        found.sort_by_key(|(_, holder)| holder.fencing_token);
        found
    }

    /// The first waiters, and since when they wait; and how many there are.
    pub(super) fn waiters(&self, limit: usize) -> (Vec<(Time, queue::Waiter)>, usize) {
        let first = self.queue.iter().take(limit).map(|it| {
            let who = it.label.to_string();
            (it.since.0, queue::Waiter::new(&who, it.mode))
        });
        (first.collect(), self.queue.len())
    }

    /// Takes the key away from all that have it.
    pub(super) fn take_away(
        &mut self,
        now: Time,
        last_token: &mut u64,
        deliver: &mut impl FnMut(Handoff<W>) -> bool,
    ) {
        self.holders.clear();
        self.serve(now, last_token, None, deliver);
    }

    /// The owner has finished; `until` is the end of its `min_hold`.
    pub(super) fn release(
        &mut self,
        now: Time,
        last_token: &mut u64,
        owner: &OwnerId,
        (leave_queue, until): (bool, Option<Time>),
        deliver: &mut impl FnMut(Handoff<W>) -> bool,
    ) {
        let has_left = leave_queue && self.leave(owner);
        // What the same owner has finished before keeps others out nevertheless.
        let is_its = |holder: &Holder| holder.owner == *owner && !holder.has_finished;
        let place = self.holders.iter().position(is_its);
        match (place, until.filter(|until| *until > now)) {
            (Some(place), Some(until)) => {
                self.holders[place].has_finished = true;
                self.holders[place].ends_at = until;
            }
            (Some(place), None) => drop(self.holders.remove(place)),
            (None, _) => {}
        }
        let was_held = place.is_some();
        // The one that leaves may have stood before others that can have the key beside its holders.
        let is_shared = self
            .holders
            .iter()
            .any(|holder| !holder.mode.is_exclusive());
        if was_held || has_left && is_shared {
            self.serve(now, last_token, None, deliver);
        }
    }

    /// Makes the first waiters holders, as far as they can have the key, and notifies them; one that is not
    /// reachable is skipped. Stops at `mine`, which is not notified, and returns whether it got there.
    pub(super) fn serve(
        &mut self,
        now: Time,
        last_token: &mut u64,
        mine: Option<&OwnerId>,
        deliver: &mut impl FnMut(Handoff<W>) -> bool,
    ) -> bool {
        while let Some(front) = self.queue.front() {
            let admitted = self.admits(front.mode);
            if admitted == Ok(false) {
                return false;
            }
            let waiter = self.queue.pop_front().expect("it is the front");
            if admitted.is_err() {
                // It asks again, and is told.
                continue;
            }
            if mine == Some(&waiter.owner) {
                return true;
            }
            let tokens = reserve(last_token, waiter.claim.tokens, 0);
            let holder = Holder {
                owner: waiter.owner.clone(),
                mode: waiter.mode,
                label: waiter.label,
                token: tokens.start,
                since: Since(now),
                ends_at: now + waiter.claim.ttl,
                has_finished: false,
            };
            let handoff = Handoff {
                waiter: waiter.address,
                owner: waiter.owner,
                granted: Granted {
                    tokens,
                    contended: !self.queue.is_empty(),
                },
                ttl: waiter.claim.ttl,
            };
            if deliver(handoff) {
                self.holders.push(holder);
            }
        }
        false
    }
}

pub(super) fn reserve(last_token: &mut u64, tokens: u32, least: u64) -> Range<u64> {
    let first = (*last_token + 1).max(least);
    *last_token = first + u64::from(tokens) - 1;
    first..first + u64::from(tokens)
}
