//! The inputs and outputs of a queue.

use std::sync::Arc;

use super::LineName;
use crate::Error;
use crate::backend::LeaseId;
use crate::clock::Time;
use crate::key::Key;
use crate::mode::Mode;
use crate::protocol::Terms;

/// A caller in the queue of its key.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub(crate) struct Waiter<C> {
    pub(super) id: u64,
    pub(super) terms: Arc<Terms>,
    pub(super) asked_at: Time,
    pub(super) until: Time,
    /// Its wait is over, but the answer to its only attempt is on its way.
    pub(super) is_last_chance: bool,
    pub(crate) caller: C,
}

/// What the keeper is to do for a queue.
#[derive(Debug)]
pub(crate) enum Order {
    Ask {
        id: LeaseId,
        line: LineName,
        terms: Arc<Terms>,
        tokens: u32,
    },
    Release {
        id: LeaseId,
    },
    Refill {
        id: LeaseId,
        tokens: u32,
    },
}

/// What a caller that joins finds.
#[derive(Debug)]
pub(crate) enum Joined<C> {
    /// It is the first of its process, so a lease is asked for.
    First {
        waiter: u64,
        order: Order,
    },
    /// Other calls of its process have the key, or asked for it before.
    Behind {
        waiter: u64,
        order: Option<Order>,
    },
    Refused(C, Error),
}

/// What happens to a lease that was granted, or whose holder has finished.
#[derive(Debug)]
pub(crate) enum Handover<C> {
    /// It goes to this waiter.
    Passed {
        waiter: Waiter<C>,
        token: u64,
        order: Option<Order>,
    },
    /// It goes back to the lock service; the order asks for the next waiter's own lease.
    Over { next: Option<Order> },
}

/// Callers that get no lease, and the orders that follow from that.
#[derive(Debug)]
pub(crate) struct Failures<C> {
    pub(crate) callers: Vec<(Waiter<C>, Error)>,
    pub(crate) orders: Vec<Order>,
}

impl<C> Waiter<C> {
    pub(crate) fn key(&self) -> &Key {
        &self.terms.key
    }

    pub(crate) fn mode(&self) -> Mode {
        self.terms.mode
    }

    /// The line in which it stands.
    pub(crate) fn line(&self) -> LineName {
        LineName::of(&self.terms, self.id)
    }
}

impl<C> Failures<C> {
    pub(super) fn none() -> Self {
        Self {
            callers: Vec::new(),
            orders: Vec::new(),
        }
    }
}
