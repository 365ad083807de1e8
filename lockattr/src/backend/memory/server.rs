//! A lock service inside the process, as a plain data structure: no clock, no threads.
//!
//! It does the same as the scripts on a real server, so the protocol is tested against it too.

mod lock;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use crate::backend::{Attempt, Granted, IfHeld, Op, OwnerId, Reply};
use crate::clock::Time;
use crate::holder;
use crate::key::Key;
use crate::queue;
pub(crate) use lock::Handoff;
use lock::{Holder, Lock, reserve};

/// The locks of a service that reaches its waiters through a `W`.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(crate) struct Server<W> {
    locks: HashMap<Key, Lock<W>>,
    tombstones: HashMap<OwnerId, Time>,
    last_token: u64,
}

impl<W: Clone> Server<W> {
    /// Tokens begin above `tokens_from`: a server that restarts must not repeat old ones.
    pub(crate) fn new(tokens_from: u64) -> Self {
        Self {
            locks: HashMap::new(),
            tombstones: HashMap::new(),
            last_token: tokens_from,
        }
    }

    pub(crate) fn last_token(&self) -> u64 {
        self.last_token
    }

    /// Executes one attempt. `deliver` notifies a waiter of its lease, and returns whether the
    /// waiter exists.
    pub(crate) fn execute(
        &mut self,
        now: Time,
        attempt: &Attempt,
        address: W,
        mut deliver: impl FnMut(Handoff<W>) -> bool,
    ) -> Reply {
        let Attempt { key, owner, .. } = attempt;
        self.tombstones.retain(|_, until| *until > now);
        if let Some(lock) = self.locks.get_mut(key) {
            lock.end_leases(now);
        }
        let reply = match attempt.op {
            Op::Acquire { ttl, if_held } => {
                let address = (if_held == IfHeld::Queue).then_some(address);
                self.acquire(now, attempt, ttl, address, &mut deliver)
            }
            Op::Renew { ttl } => self.renew(now, key, owner, ttl),
            Op::Reserve { tokens } => self.reserve(key, owner, tokens, attempt.least_token),
            Op::Release {
                leave_queue,
                tombstone,
                keep,
            } => {
                if let Some(life) = tombstone {
                    self.tombstones.insert(owner.clone(), now + life);
                }
                if let Some(lock) = self.locks.get_mut(key) {
                    let last_token = &mut self.last_token;
                    let until = keep.map(|keep| now + keep);
                    lock.release(now, last_token, owner, (leave_queue, until), &mut deliver);
                }
                Reply::Released
            }
        };
        if self.locks.get(key).is_some_and(Lock::is_idle) {
            self.locks.remove(key);
        }
        reply
    }

    /// The keys that are held or waited for, in no order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.locks.keys()
    }

    /// Those that have the key, and since when, by their tokens.
    pub(crate) fn holders(&self, now: Time, key: &Key) -> Vec<(Time, holder::Holder)> {
        let lock = self.locks.get(key);
        lock.map_or_else(Vec::new, |lock| lock.holders(now, key))
    }

    /// The first that wait for the key, and since when; and how many there are.
    pub(crate) fn waiters(&self, key: &Key, limit: usize) -> (Vec<(Time, queue::Waiter)>, usize) {
        let lock = self.locks.get(key);
        lock.map_or_else(Default::default, |lock| lock.waiters(limit))
    }

    /// Takes the key away from all that have it.
    pub(crate) fn take_away(
        &mut self,
        now: Time,
        key: &Key,
        mut deliver: impl FnMut(Handoff<W>) -> bool,
    ) {
        if let Some(lock) = self.locks.get_mut(key) {
            lock.take_away(now, &mut self.last_token, &mut deliver);
            if lock.is_idle() {
                self.locks.remove(key);
            }
        }
    }

    /// Whether no holder and no waiter is left.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.locks.is_empty()
    }

    /// Whether an exclusive acquire would get the key now.
    #[cfg(test)]
    pub(crate) fn is_free(&self, now: Time, key: &Key) -> bool {
        self.locks.get(key).is_none_or(|lock| lock.is_free(now))
    }

    fn acquire(
        &mut self,
        now: Time,
        attempt: &Attempt,
        ttl: Duration,
        address: Option<W>,
        deliver: &mut impl FnMut(Handoff<W>) -> bool,
    ) -> Reply {
        let Attempt { owner, mode, .. } = attempt;
        let last_token = &mut self.last_token;
        let lock = self
            .locks
            .entry(attempt.key.clone())
            .or_insert_with(Lock::new);
        if let Some((holder, contended)) = lock.held_by(owner) {
            holder.ends_at = holder.ends_at.max(now + ttl);
            return Reply::Granted(Granted {
                tokens: holder.token..holder.token + 1,
                contended,
            });
        }
        if self.tombstones.contains_key(owner) {
            return Reply::Tombstoned;
        }
        let is_next = lock.serve(now, last_token, Some(owner), deliver);
        if !is_next {
            match lock.admits(*mode) {
                Err(held) => {
                    lock.leave(owner);
                    return Reply::OtherMode(held);
                }
                Ok(true) if lock.has_no_waiter() => {}
                Ok(_) => {
                    if let Some(address) = address {
                        lock.queue_up(now, attempt, address);
                    }
                    return lock.held(now);
                }
            }
        }
        let tokens = reserve(last_token, attempt.claim.tokens, attempt.least_token);
        lock.add(Holder::new(attempt, tokens.start, (now, now + ttl)));
        Reply::Granted(Granted {
            tokens,
            contended: !lock.has_no_waiter(),
        })
    }

    fn renew(&mut self, now: Time, key: &Key, owner: &OwnerId, ttl: Duration) -> Reply {
        let Some((holder, contended)) = self.held_by(key, owner) else {
            return Reply::Gone;
        };
        holder.ends_at = holder.ends_at.max(now + ttl);
        Reply::Renewed { contended }
    }

    fn reserve(&mut self, key: &Key, owner: &OwnerId, tokens: u32, least: u64) -> Reply {
        let Some((_, contended)) = self.held_by(key, owner) else {
            return Reply::Gone;
        };
        Reply::Reserved(Granted {
            tokens: reserve(&mut self.last_token, tokens, least),
            contended,
        })
    }

    fn held_by(&mut self, key: &Key, owner: &OwnerId) -> Option<(&mut Holder, bool)> {
        self.locks.get_mut(key)?.held_by(owner)
    }
}

/// For the model: what distinguishes two servers.
#[cfg(test)]
impl<W: std::hash::Hash> std::hash::Hash for Server<W> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        crate::backend::hash_unordered(&self.locks, state);
        crate::backend::hash_unordered(&self.tombstones, state);
        self.last_token.hash(state);
    }
}
