//! A lock service inside the process, as a plain data structure: no clock, no threads.
//!
//! It keeps the promises of the scripts on a real server, so it is also what the protocol is
//! tested against.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::backend::{Attempt, Op, Reply};
use crate::clock::Time;
use crate::key::Key;
use crate::owner::OwnerId;

/// A lease handed to a waiter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Handoff<W> {
    pub(crate) waiter: W,
    pub(crate) owner: OwnerId,
    pub(crate) token: u64,
}

/// The locks of a service whose waiters are reached through a `W`.
#[derive(Debug)]
pub(crate) struct Server<W> {
    locks: HashMap<Key, Lock<W>>,
    tombstones: HashMap<OwnerId, Time>,
    last_token: u64,
}

#[derive(Debug)]
struct Lock<W> {
    holder: Option<Holder>,
    queue: VecDeque<Waiter<W>>,
}

#[derive(Debug)]
struct Holder {
    owner: OwnerId,
    token: u64,
    ends_at: Time,
}

#[derive(Debug)]
struct Waiter<W> {
    owner: OwnerId,
    ttl: Duration,
    address: W,
}

impl<W: Clone> Server<W> {
    /// Tokens begin above `tokens_from`: a server that starts anew must not repeat old ones.
    pub(crate) fn new(tokens_from: u64) -> Self {
        Self {
            locks: HashMap::new(),
            tombstones: HashMap::new(),
            last_token: tokens_from,
        }
    }

    /// Executes one attempt. `deliver` tells a waiter of its lease, or says that it is gone.
    pub(crate) fn execute(
        &mut self,
        now: Time,
        attempt: &Attempt,
        address: W,
        mut deliver: impl FnMut(Handoff<W>) -> bool,
    ) -> Reply {
        let Attempt { key, owner, op, .. } = attempt;
        self.tombstones.retain(|_, until| *until > now);
        self.expire(now, key, &mut deliver);
        match op {
            Op::Acquire { ttl, .. } => self.acquire(now, key, owner, *ttl, address),
            Op::Renew { ttl } => self.renew(now, key, owner, *ttl),
            Op::Release { tombstone } => {
                if let Some(life) = tombstone {
                    self.tombstones.insert(owner.clone(), now + *life);
                }
                self.release(now, key, owner, &mut deliver)
            }
        }
    }

    /// Whether nothing is left: no holder, no waiter.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.locks.is_empty()
    }

    fn acquire(
        &mut self,
        now: Time,
        key: &Key,
        owner: &OwnerId,
        ttl: Duration,
        address: W,
    ) -> Reply {
        if self.tombstones.contains_key(owner) {
            return Reply::Tombstoned;
        }
        let lock = self.locks.entry(key.clone()).or_insert_with(|| Lock {
            holder: None,
            queue: VecDeque::new(),
        });
        match &mut lock.holder {
            Some(holder) if holder.owner == *owner => {
                holder.ends_at = holder.ends_at.max(now + ttl);
                Reply::Granted {
                    token: holder.token,
                }
            }
            Some(holder) => {
                if !lock.queue.iter().any(|waiter| waiter.owner == *owner) {
                    lock.queue.push_back(Waiter {
                        owner: owner.clone(),
                        ttl,
                        address,
                    });
                }
                Reply::Held {
                    ends_in: holder.ends_at.since(now),
                    queued: true,
                }
            }
            None => {
                self.last_token += 1;
                let token = self.last_token;
                lock.holder = Some(Holder {
                    owner: owner.clone(),
                    token,
                    ends_at: now + ttl,
                });
                Reply::Granted { token }
            }
        }
    }

    fn renew(&mut self, now: Time, key: &Key, owner: &OwnerId, ttl: Duration) -> Reply {
        match self
            .locks
            .get_mut(key)
            .and_then(|lock| lock.holder.as_mut())
        {
            Some(holder) if holder.owner == *owner => {
                holder.ends_at = holder.ends_at.max(now + ttl);
                Reply::Renewed
            }
            _ => Reply::Gone,
        }
    }

    fn release(
        &mut self,
        now: Time,
        key: &Key,
        owner: &OwnerId,
        deliver: &mut impl FnMut(Handoff<W>) -> bool,
    ) -> Reply {
        if let Some(lock) = self.locks.get_mut(key) {
            lock.queue.retain(|waiter| waiter.owner != *owner);
            if lock
                .holder
                .as_ref()
                .is_some_and(|holder| holder.owner == *owner)
            {
                self.pass_on(now, key, deliver);
            }
        }
        Reply::Released
    }

    fn expire(&mut self, now: Time, key: &Key, deliver: &mut impl FnMut(Handoff<W>) -> bool) {
        let holder = self.locks.get(key).and_then(|lock| lock.holder.as_ref());
        if holder.is_some_and(|holder| holder.ends_at <= now) {
            self.pass_on(now, key, deliver);
        }
    }

    /// Makes the first waiter that can be reached the holder.
    fn pass_on(&mut self, now: Time, key: &Key, deliver: &mut impl FnMut(Handoff<W>) -> bool) {
        let Some(lock) = self.locks.get_mut(key) else {
            return;
        };
        lock.holder = None;
        while let Some(Waiter {
            owner,
            ttl,
            address,
        }) = lock.queue.pop_front()
        {
            let token = self.last_token + 1;
            if deliver(Handoff {
                waiter: address,
                owner: owner.clone(),
                token,
            }) {
                self.last_token = token;
                lock.holder = Some(Holder {
                    owner,
                    token,
                    ends_at: now + ttl,
                });
                return;
            }
        }
        self.locks.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::AttemptId;
    use crate::label::Label;
    use crate::owner::OwnerIds;

    const TTL: Duration = Duration::from_secs(10);

    struct Fixture {
        server: Server<u8>,
        delivered: Vec<Handoff<u8>>,
        now: Time,
    }

    impl Fixture {
        fn new() -> Self {
            Self {
                server: Server::new(100),
                delivered: Vec::new(),
                now: Time::from_nanos(1),
            }
        }

        fn owner(n: u64) -> OwnerId {
            OwnerIds::from_bits([0; 16]).first(n)
        }

        fn execute(&mut self, n: u64, op: Op) -> Reply {
            let id = AttemptId {
                acquisition: n,
                number: 0,
            };
            let attempt = Attempt {
                id,
                key: Key::new("k").unwrap(),
                owner: Self::owner(n),
                op,
            };
            let delivered = &mut self.delivered;
            // Waiter 9 is gone.
            self.server
                .execute(self.now, &attempt, u8::try_from(n).unwrap(), |handoff| {
                    let there = handoff.waiter != 9;
                    delivered.extend(there.then_some(handoff));
                    there
                })
        }

        fn acquire(&mut self, n: u64) -> Reply {
            self.execute(
                n,
                Op::Acquire {
                    ttl: TTL,
                    label: Label::here(),
                },
            )
        }
    }

    #[test]
    fn it_is_fifo_skips_the_dead_and_leaves_nothing() {
        let mut f = Fixture::new();
        assert_eq!(f.acquire(1), Reply::Granted { token: 101 });
        assert_eq!(f.acquire(1), Reply::Granted { token: 101 });
        for waiter in [9, 2, 3] {
            assert_eq!(
                f.acquire(waiter),
                Reply::Held {
                    ends_in: TTL,
                    queued: true
                }
            );
        }
        f.execute(3, Op::Release { tombstone: None });
        f.execute(1, Op::Release { tombstone: None });
        assert_eq!(
            f.delivered,
            [Handoff {
                waiter: 2,
                owner: Fixture::owner(2),
                token: 102
            }]
        );
        f.execute(1, Op::Release { tombstone: None });
        assert_eq!(f.acquire(2), Reply::Granted { token: 102 });
        f.execute(2, Op::Release { tombstone: None });
        assert!(f.server.is_idle());
    }

    #[test]
    fn a_lease_ends_and_is_not_revived() {
        let mut f = Fixture::new();
        f.acquire(1);
        f.now = f.now + TTL / 2;
        assert_eq!(
            f.execute(1, Op::Renew { ttl: TTL / 10 }),
            Reply::Renewed,
            "never ends it sooner"
        );
        f.now = f.now + TTL / 2;
        assert_eq!(f.execute(1, Op::Renew { ttl: TTL }), Reply::Gone);
        assert_eq!(f.acquire(2), Reply::Granted { token: 102 });
    }

    #[test]
    fn a_tombstone_stops_an_acquire_that_comes_late() {
        let mut f = Fixture::new();
        f.execute(
            1,
            Op::Release {
                tombstone: Some(TTL),
            },
        );
        assert_eq!(f.acquire(1), Reply::Tombstoned);
        assert!(f.server.is_idle());
        f.now = f.now + TTL;
        assert_eq!(f.acquire(1), Reply::Granted { token: 101 });
    }
}
