//! What was given back and not confirmed: it is given back again once the server answers.
//!
//! A lease would end by its ttl anyway, and a place in a queue would cost the waiters behind it a claim.

use std::collections::HashMap;
use std::time::Duration;

use tracing::debug;

use crate::backend::{Attempt, LeaseId, Op};
use crate::clock::Time;
use crate::timing::QUEUE_LIFE;

/// A server that is away for long has no more of us than this, or it ends by itself.
const MOST: usize = 10_000;

/// Releases that were not confirmed, by the owner that the server knows.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct Leavings(HashMap<LeaseId, Leaving>);

#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
struct Leaving {
    member: usize,
    release: Attempt,
    /// From when on nothing can be left.
    until: Time,
}

impl Leavings {
    /// Notes a release of a lease that lasts at most `ttl` from now on.
    pub(super) fn note(&mut self, now: Time, member: usize, release: Attempt, ttl: Duration) {
        if self.0.len() >= MOST {
            self.0.retain(|_, leaving| leaving.until > now);
        }
        if self.0.len() >= MOST {
            debug!(
                member,
                "too much was not given back; a lease ends by its ttl"
            );
            return;
        }
        let lasts = match release.op {
            Op::Release {
                leave_queue: true, ..
            } => ttl.max(QUEUE_LIFE),
            _ => ttl,
        };
        let leaving = Leaving {
            member,
            release,
            until: now + lasts,
        };
        self.0.insert(leaving.release.owner.lease, leaving);
    }

    /// The server has executed it.
    pub(super) fn confirm(&mut self, owner: LeaseId) {
        self.0.remove(&owner);
    }

    /// Returns the releases to be sent once more to a server.
    pub(super) fn of_member(&mut self, now: Time, member: usize) -> Vec<Attempt> {
        self.0.retain(|_, leaving| leaving.until > now);
        let of_it = self.0.values().filter(|leaving| leaving.member == member);
        of_it.map(|leaving| leaving.release.clone()).collect()
    }

    /// Returns the release of an owner to whom the server has handed the key meanwhile.
    pub(super) fn of_owner(&self, owner: LeaseId) -> Option<Attempt> {
        Some(self.0.get(&owner)?.release.clone())
    }
}

/// For the model.
#[cfg(test)]
impl std::hash::Hash for Leavings {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        crate::backend::hash_unordered(&self.0, state);
    }
}
