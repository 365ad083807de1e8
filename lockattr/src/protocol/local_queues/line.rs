//! The queue of one key, and what its process has of the key at present.

use std::sync::Arc;
use std::time::Duration;

use super::tokens::Tokens;
use super::waiting::Waiting;
use super::{Batch, LineName, Order, Waiter};
use crate::backend::{BackendError, BackendErrorKind, Confirmation, Granted, LeaseId};
use crate::clock::Time;
use crate::protocol::Terms;
use crate::spec::Wait;
use crate::{Error, timing};

#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub(super) struct Line<C> {
    /// The lease that is asked for, or held, on behalf of the waiters.
    pub(super) lease: LeaseId,
    /// The terms that it was asked for under.
    pub(super) terms: Arc<Terms>,
    pub(super) stage: Stage,
    pub(super) waiting: Waiting<C>,
    /// When the present lease ends, of this process or of another.
    pub(super) held_until: Option<Time>,
    /// The other process that has the key, as text for people, if the service tells.
    pub(super) held_by: Option<Arc<str>>,
    /// When the I/O thread checks whether the holder has taken up its lease.
    pub(super) offer_checked_at: Option<Time>,
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub(super) enum Stage {
    Asking {
        /// Whether the service has answered the first attempt, or failed to.
        answered: bool,
        trouble: Option<BackendError>,
    },
    Held {
        /// The present holder's fencing token.
        holder: u64,
        /// The tokens for later holders of the lease.
        tokens: Tokens,
        batch_end: Time,
        /// Whether other processes wait.
        contended: bool,
        /// Whether more tokens have been asked for.
        refilling: bool,
        /// Whether the lease is not passed on, because its present holder changed its terms.
        sole: bool,
    },
}

impl Stage {
    pub(super) const ASKED: Self = Self::Asking {
        answered: false,
        trouble: None,
    };
}

impl<C> Line<C> {
    /// Starts over: asks for a new lease for the first waiter.
    pub(super) fn start(&mut self, name: &LineName, lease: LeaseId, batch: Batch) -> Option<Order> {
        self.terms = Arc::clone(&self.waiting.front()?.terms);
        self.lease = lease;
        // The last failure of the service counts until it answers.
        let trouble = match &mut self.stage {
            Stage::Asking { trouble, .. } => trouble.take(),
            Stage::Held { .. } => None,
        };
        self.stage = Stage::Asking {
            answered: false,
            trouble,
        };
        Some(self.ask(name, batch))
    }

    pub(super) fn ask(&self, name: &LineName, batch: Batch) -> Order {
        Order::Ask {
            id: self.lease,
            line: name.clone(),
            terms: Arc::clone(&self.terms),
            tokens: if passes_on(&self.terms) {
                batch.size
            } else {
                1
            },
        }
    }

    /// The lease was granted. Returns the token of its first holder.
    pub(super) fn hold(&mut self, now: Time, granted: Granted, batch: Batch) -> u64 {
        let mut tokens = Tokens::of(granted.tokens);
        let token = tokens.next().unwrap_or_default();
        self.held_by = None;
        self.stage = Stage::Held {
            holder: token,
            tokens,
            batch_end: now + batch.time,
            contended: granted.contended,
            refilling: false,
            sole: false,
        };
        token
    }

    /// The lease was renewed, and is valid until then.
    pub(super) fn renewed(&mut self, is_contended: bool, valid_until: Time) {
        self.held_until = Some(valid_until);
        if let Stage::Held { contended, .. } = &mut self.stage {
            *contended = is_contended;
        }
    }

    /// Tokens for more local holders were reserved.
    pub(super) fn refill(&mut self, now: Time, granted: Granted, batch: Batch) {
        if let Stage::Held {
            tokens,
            batch_end,
            contended,
            refilling,
            ..
        } = &mut self.stage
        {
            *contended = granted.contended;
            *refilling = false;
            // While other processes wait, the batch keeps its end.
            if !granted.contended {
                *batch_end = now + batch.time;
            }
            if !granted.contended || tokens.left() == 0 {
                tokens.add(granted.tokens);
            }
        }
    }

    /// Asks for more tokens early enough that handovers need not stop for them.
    pub(super) fn wants_refill(&mut self, now: Time, batch: Batch) -> Option<Order> {
        let Stage::Held {
            tokens,
            batch_end,
            contended: false,
            refilling,
            sole: false,
            ..
        } = &mut self.stage
        else {
            return None;
        };
        let left = u32::try_from(tokens.left()).unwrap_or(u32::MAX);
        let is_late = left <= batch.size / 2 || now + batch.time / 2 >= *batch_end;
        // With no token left the lease mostly goes back before more come, and those that were reserved
        // for nothing would leave the next lease with one token.
        if *refilling
            || !is_late
            || left == 0
            || batch.size < 2
            || self.waiting.is_empty()
            || !passes_on(&self.terms)
        {
            return None;
        }
        *refilling = true;
        Some(Order::Refill {
            id: self.lease,
            // No more than a batch has: a counter that overtakes the clock grants one token at a time.
            tokens: batch.size.saturating_sub(left).max(1),
        })
    }

    /// Returns the token under which the lease can be passed to the first waiter, if it can.
    pub(super) fn pass(&mut self, now: Time, enough: Duration) -> Option<u64> {
        let front = self.waiting.front()?;
        let valid_until = self.held_until?;
        let suits = passes_on(&self.terms) && self.suits(front);
        let Stage::Held {
            holder,
            tokens,
            batch_end,
            sole: false,
            ..
        } = &mut self.stage
        else {
            return None;
        };
        let has_time = now < *batch_end && valid_until.since(now) >= enough;
        if suits && has_time {
            *holder = tokens.next()?;
            Some(*holder)
        } else {
            None
        }
    }

    /// Stops handovers of the lease if `token` is the present holder's. Returns whether it is.
    pub(super) fn keep_for(&mut self, token: u64) -> bool {
        match &mut self.stage {
            Stage::Held { holder, sole, .. } if *holder == token => {
                *sole = true;
                true
            }
            _ => false,
        }
    }

    /// Whether a lease under the line's terms is what the waiter asked for.
    pub(super) fn suits(&self, waiter: &Waiter<C>) -> bool {
        let (a, b) = (&self.terms, &waiter.terms);
        a.ttl == b.ttl
            && a.renew == b.renew
            && a.max_hold == b.max_hold
            && a.min_hold == b.min_hold
            && a.confirmation == b.confirmation
    }

    /// Whether a lease that was asked for under the line's terms is confirmed as the waiter asks for, and
    /// can last as long: `longer` if renewals can make it last longer.
    pub(super) fn is_good_for(&self, waiter: &Waiter<C>, longer: bool) -> bool {
        Confirmation::covers(self.terms.confirmation, waiter.terms.confirmation)
            && (longer || waiter.terms.ttl <= self.terms.ttl)
    }

    /// Whether the first answer to the first waiter's attempt is still to come.
    pub(super) fn awaits_first_answer(&self) -> bool {
        matches!(
            self.stage,
            Stage::Asking {
                answered: false,
                ..
            }
        )
    }

    /// Returns the reason for which a waiter whose wait is over has no lease.
    pub(super) fn reason(&self, now: Time, waiter: &Waiter<C>) -> Error {
        let key = waiter.terms.key.shared();
        match &self.stage {
            Stage::Asking {
                trouble: Some(error),
                ..
            } => Error::Backend {
                key,
                source: error.clone(),
            },
            Stage::Asking {
                answered: false,
                trouble: None,
            } if waiter.is_last_chance => {
                let message = "too many requests are waiting for the lock service";
                Error::Backend {
                    key,
                    source: BackendError::new(BackendErrorKind::Timeout, message),
                }
            }
            _ => self.busy(now, &waiter.terms, waiter.asked_at),
        }
    }

    pub(super) fn busy(&self, now: Time, terms: &Terms, asked_at: Time) -> Error {
        Error::Busy {
            key: terms.key.shared(),
            waited: now.since(asked_at),
            retry_after: self.held_until.map(|end| end.since(now)),
            holder: self.held_by.clone(),
        }
    }
}

/// A lease that must not be renewed, or ends at a fixed time, is not passed on; nor is one that keeps others
/// out after its holder has finished, or that one call alone has.
fn passes_on(terms: &Terms) -> bool {
    terms.renew && terms.max_hold.is_none() && terms.min_hold.is_none() && terms.mode.is_exclusive()
}

pub(super) fn tries_once(terms: &Terms) -> bool {
    terms.wait == Wait::For(Duration::ZERO)
}

/// How much validity a lease must have left to be passed on.
pub(super) fn enough(claim_window: Duration, ttl: Duration) -> Duration {
    timing::claim_ttl(claim_window, ttl) / 2
}
