//! What is told of the queues, and asked of the keeper.

use crate::Error;
use crate::clock::Time;
use crate::key::Key;
use crate::protocol::Terms;

/// One that wants a key.
#[derive(Debug)]
pub(crate) struct Waiter<W> {
    pub(super) id: u64,
    pub(super) terms: Terms,
    pub(super) asked_at: Time,
    pub(super) until: Time,
    /// Its wait is over, but the answer to its only question is on its way.
    pub(super) is_last_chance: bool,
    pub(crate) caller: W,
}

/// What the keeper is to do.
#[derive(Debug)]
pub(crate) enum Order {
    Ask { id: u64, terms: Terms, tokens: u32 },
    Release { id: u64 },
    Refill { id: u64, tokens: u32 },
}

/// What became of one that wants a key.
#[derive(Debug)]
pub(crate) enum Joined<W> {
    /// It is the first here, and asks.
    Asking {
        waiter: u64,
        order: Order,
    },
    /// It stands behind others. `wake` if the I/O thread sleeps for longer than it will wait.
    Behind {
        waiter: u64,
        order: Option<Order>,
        wake: bool,
    },
    Refused(W, Error),
}

/// What becomes of a lease when its holder is finished with it, or when it has come.
#[derive(Debug)]
pub(crate) enum Released<W> {
    /// It is the waiter's now.
    Passed {
        waiter: Waiter<W>,
        token: u64,
        order: Option<Order>,
        /// Whether the I/O thread sleeps past the check of this offer.
        wake: bool,
    },
    /// It goes back to the lock service; the next one here asks for itself.
    Over { next: Option<Order> },
}

/// Those who get no lease, and what follows from that.
#[derive(Debug)]
pub(crate) struct Failures<W> {
    pub(crate) callers: Vec<(Waiter<W>, Error)>,
    pub(crate) orders: Vec<Order>,
}

impl<W> Waiter<W> {
    pub(crate) fn key(&self) -> &Key {
        &self.terms.key
    }
}

impl<W> Failures<W> {
    pub(super) fn none() -> Self {
        Self {
            callers: Vec::new(),
            orders: Vec::new(),
        }
    }
}
