//! A lock service inside the process, as a plain data structure: no clock, no threads.
//!
//! It does the same as the scripts on a real server, so the protocol is tested against it too.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use crate::backend::{Attempt, Claim, Granted, IfHeld, Op, OwnerId, Reply};
use crate::clock::Time;
use crate::key::Key;

/// A lease handed to a waiter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Handoff<W> {
    pub(crate) waiter: W,
    pub(crate) owner: OwnerId,
    pub(crate) granted: Granted,
    /// How long it lasts unless it is renewed.
    pub(crate) ttl: Duration,
}

/// The locks of a service that reaches its waiters through a `W`.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(crate) struct Server<W> {
    locks: HashMap<Key, Lock<W>>,
    tombstones: HashMap<OwnerId, Time>,
    last_token: u64,
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
struct Lock<W> {
    holder: Option<Holder>,
    queue: VecDeque<Waiter<W>>,
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
struct Holder {
    owner: OwnerId,
    token: u64,
    ends_at: Time,
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
struct Waiter<W> {
    owner: OwnerId,
    claim: Claim,
    address: W,
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
            lock.holder.take_if(|holder| holder.ends_at <= now);
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
            } => {
                if let Some(life) = tombstone {
                    self.tombstones.insert(owner.clone(), now + life);
                }
                self.release(now, key, owner, leave_queue, &mut deliver);
                Reply::Released
            }
        };
        let is_idle = |lock: &Lock<W>| lock.holder.is_none() && lock.queue.is_empty();
        if self.locks.get(key).is_some_and(is_idle) {
            self.locks.remove(key);
        }
        reply
    }

    /// Whether no holder and no waiter is left.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.locks.is_empty()
    }

    /// Whether an acquire would get the key now.
    #[cfg(test)]
    pub(crate) fn is_free(&self, now: Time, key: &Key) -> bool {
        self.locks.get(key).is_none_or(|lock| {
            let is_held = lock
                .holder
                .as_ref()
                .is_some_and(|holder| holder.ends_at > now);
            !is_held && lock.queue.is_empty()
        })
    }

    fn acquire(
        &mut self,
        now: Time,
        attempt: &Attempt,
        ttl: Duration,
        address: Option<W>,
        deliver: &mut impl FnMut(Handoff<W>) -> bool,
    ) -> Reply {
        let Attempt {
            key, owner, claim, ..
        } = attempt;
        let last_token = &mut self.last_token;
        let lock = self.locks.entry(key.clone()).or_insert_with(|| Lock {
            holder: None,
            queue: VecDeque::new(),
        });
        if let Some(holder) = &mut lock.holder
            && holder.owner == *owner
        {
            holder.ends_at = holder.ends_at.max(now + ttl);
            return Reply::Granted(Granted {
                tokens: holder.token..holder.token + 1,
                contended: !lock.queue.is_empty(),
            });
        }
        if self.tombstones.contains_key(owner) {
            return Reply::Tombstoned;
        }
        if lock.holder.is_none() {
            lock.hand_over(now, last_token, Some(owner), deliver);
        }
        if let Some(holder) = &lock.holder {
            if let Some(address) = address
                && !lock.queue.iter().any(|waiter| waiter.owner == *owner)
            {
                lock.queue.push_back(Waiter {
                    owner: owner.clone(),
                    claim: *claim,
                    address,
                });
            }
            return Reply::Held {
                ends_in: holder.ends_at.since(now),
            };
        }
        let tokens = reserve(last_token, claim.tokens, attempt.least_token);
        lock.holder = Some(Holder {
            owner: owner.clone(),
            token: tokens.start,
            ends_at: now + ttl,
        });
        Reply::Granted(Granted {
            tokens,
            contended: !lock.queue.is_empty(),
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

    /// Returns the holder of the key, if it is this owner, and whether others wait.
    fn held_by(&mut self, key: &Key, owner: &OwnerId) -> Option<(&mut Holder, bool)> {
        let lock = self.locks.get_mut(key)?;
        let holder = lock.holder.as_mut()?;
        (holder.owner == *owner).then_some((holder, !lock.queue.is_empty()))
    }

    fn release(
        &mut self,
        now: Time,
        key: &Key,
        owner: &OwnerId,
        leave_queue: bool,
        deliver: &mut impl FnMut(Handoff<W>) -> bool,
    ) {
        let Some(lock) = self.locks.get_mut(key) else {
            return;
        };
        if leave_queue {
            lock.queue.retain(|waiter| waiter.owner != *owner);
        }
        let released = lock.holder.take_if(|holder| holder.owner == *owner);
        if released.is_some() {
            lock.hand_over(now, &mut self.last_token, None, deliver);
        }
    }
}

impl<W> Lock<W> {
    /// Makes the first reachable waiter the holder, and notifies it; stops at `mine`, which is then
    /// granted the key without a notification.
    fn hand_over(
        &mut self,
        now: Time,
        last_token: &mut u64,
        mine: Option<&OwnerId>,
        deliver: &mut impl FnMut(Handoff<W>) -> bool,
    ) {
        while let Some(waiter) = self.queue.pop_front() {
            let Waiter {
                owner,
                claim,
                address,
            } = waiter;
            if mine == Some(&owner) {
                return;
            }
            let tokens = reserve(last_token, claim.tokens, 0);
            let token = tokens.start;
            let handoff = Handoff {
                waiter: address,
                owner: owner.clone(),
                granted: Granted {
                    tokens,
                    contended: !self.queue.is_empty(),
                },
                ttl: claim.ttl,
            };
            if deliver(handoff) {
                self.holder = Some(Holder {
                    owner,
                    token,
                    ends_at: now + claim.ttl,
                });
                return;
            }
        }
    }
}

fn reserve(last_token: &mut u64, tokens: u32, least: u64) -> Range<u64> {
    let first = (*last_token + 1).max(least);
    *last_token = first + u64::from(tokens) - 1;
    first..first + u64::from(tokens)
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

#[cfg(test)]
mod tests;
