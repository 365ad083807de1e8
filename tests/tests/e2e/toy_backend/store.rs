//! A lock service that knows the least that one can: no queue, a token at a time. It is written as one
//! in another crate would be.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use lockattr::backend::{
    Attempt, AttemptId, Backend, BackendError, BackendErrorKind, Capabilities, Event, Failure,
    Granted, Op, Outcome, OwnerId, Reply, Time,
};

#[derive(Default)]
struct Locks {
    holders: HashMap<String, Held>,
    tombstones: HashMap<OwnerId, Time>,
    last_token: u64,
}

struct Held {
    owner: OwnerId,
    token: u64,
    ends_at: Time,
}

impl Held {
    fn granted(&self) -> Granted {
        Granted::new(self.token..self.token + 1, false)
    }
}

/// The service. Clones share their locks.
#[derive(Clone, Default)]
pub(super) struct Store(Arc<Mutex<Locks>>);

impl Store {
    fn execute(&self, attempt: &Attempt) -> Outcome {
        let mut locks = self.0.lock().unwrap();
        let (key, owner, now) = (attempt.key(), attempt.owner(), Time::now());
        locks.holders.retain(|_, held| held.ends_at > now);
        locks.tombstones.retain(|_, until| *until > now);
        let is_refused = locks.tombstones.contains_key(owner);
        let is_owner = |held: &&mut Held| held.owner == *owner;
        let held = locks.holders.get_mut(key);
        Ok(match *attempt.op() {
            Op::Acquire { ttl, .. } => match held {
                Some(held) if held.owner == *owner => {
                    held.ends_at = held.ends_at.max(now + ttl);
                    Reply::Granted(held.granted())
                }
                _ if is_refused => Reply::Tombstoned,
                Some(held) => Reply::Held {
                    holder: None,
                    ends_in: held.ends_at.since(now),
                },
                None => {
                    locks.last_token += 1;
                    let held = Held {
                        owner: owner.clone(),
                        token: locks.last_token,
                        ends_at: now + ttl,
                    };
                    let granted = held.granted();
                    locks.holders.insert(key.to_owned(), held);
                    Reply::Granted(granted)
                }
            },
            Op::Renew { ttl } => match held.filter(is_owner) {
                Some(held) => {
                    held.ends_at = held.ends_at.max(now + ttl);
                    Reply::Renewed { contended: false }
                }
                None => Reply::Gone,
            },
            Op::Release { tombstone, .. } => {
                if held.as_ref().is_some_and(is_owner) {
                    locks.holders.remove(key);
                }
                let refused = tombstone.map(|life| (owner.clone(), now + life));
                locks.tombstones.extend(refused);
                Reply::Released
            }
            _ => {
                let error = BackendError::new(BackendErrorKind::Refused, "not known here");
                return Err(Failure::not_executed(error).lasting());
            }
        })
    }
}

/// A process' way to it.
#[derive(Default)]
pub(super) struct Connection {
    store: Store,
    taken: Vec<Attempt>,
    ended: VecDeque<(AttemptId, Outcome)>,
    waker: Option<Waker>,
}

impl Connection {
    pub(super) fn to(store: Store) -> Self {
        Self {
            store,
            ..Self::default()
        }
    }
}

impl Backend for Connection {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// As a service that answers one after the other.
    fn room(&self, _: usize, waiting: usize) -> usize {
        waiting.min(8 - self.taken.len().min(8))
    }

    fn submit(&mut self, attempt: Attempt) {
        self.taken.push(attempt);
    }

    fn flush(&mut self) {
        for attempt in self.taken.drain(..) {
            let outcome = self.store.execute(&attempt);
            self.ended.push_back((attempt.id(), outcome));
        }
        self.waker.take().into_iter().for_each(Waker::wake);
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if let Some((id, outcome)) = self.ended.pop_front() {
            return Poll::Ready(Event::Done(id, outcome));
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
