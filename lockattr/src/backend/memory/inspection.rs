//! Answers to questions about locks.

use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use super::{MemoryBackend, Shared, deliver};
use crate::backend::{Inspected, Inspection, Inspector};
use crate::clock::Time;
use crate::holder::Holder;
use crate::key::Key;
use crate::queue::{Queue, Waiter};

/// How many keys a page has at most.
const PAGE: usize = 256;

impl MemoryBackend {
    pub(super) fn answers(&self) -> Inspector {
        let (server, clock) = (Arc::clone(&self.server), self.clock.clone());
        Box::new(move |inspection| {
            let found = inspect(&server, clock.now(), inspection);
            Box::pin(std::future::ready(Ok(found)))
        })
    }
}

fn inspect(server: &Shared, now: Time, inspection: Inspection) -> Inspected {
    let mut server = server.lock().unwrap_or_else(PoisonError::into_inner);
    let date = |since| SystemTime::now().checked_sub(now.since(since));
    let holders = |keys: &[Key]| -> Vec<Holder> {
        let found = keys.iter().flat_map(|key| server.holders(now, key));
        let dated = found.map(|(since, holder)| Holder {
            since: date(since),
            ..holder
        });
        dated.collect()
    };
    match inspection {
        Inspection::Keys(keys) => Inspected::new(holders(&keys), None),
        Inspection::Page { prefix, after } => {
            let mut keys: Vec<Key> = server.keys().cloned().collect();
            keys.retain(|key| {
                let is_left = after.as_deref().is_none_or(|after| key.as_str() > after);
                is_left && key.as_str().starts_with(&*prefix)
            });
            keys.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
            let has_more = keys.len() > PAGE;
            keys.truncate(PAGE);
            let next = keys.last().filter(|_| has_more).map(Key::shared);
            Inspected::new(holders(&keys), next)
        }
        Inspection::Queue { key, limit } => {
            let (first, count) = server.waiters(&key, limit);
            let dated = first.into_iter().map(|(since, waiter)| Waiter {
                since: date(since),
                ..waiter
            });
            let waiters: Vec<Waiter> = dated.collect();
            let more = count - waiters.len();
            Inspected::of_queue(Queue::new(waiters, more))
        }
        Inspection::ForceRelease(key) => {
            let found = holders(std::slice::from_ref(&key));
            server.take_away(now, &key, |handoff| deliver(now, handoff));
            Inspected::new(found, None)
        }
    }
}
