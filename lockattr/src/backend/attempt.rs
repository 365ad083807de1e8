//! The attempts that a pool sends to a lock service.

use std::fmt;
use std::time::Duration;

use super::owner::{LeaseId, OwnerId};
use super::who::Who;
use crate::key::Key;
use crate::label::Label;
use crate::mode::Mode;

/// One question to the lock service.
#[derive(Debug, Clone)]
#[cfg_attr(test, derive(Hash))]
pub struct Attempt {
    pub(crate) id: AttemptId,
    pub(crate) key: Key,
    pub(crate) owner: OwnerId,
    pub(crate) claim: Claim,
    pub(crate) mode: Mode,
    pub(crate) label: Label,
    pub(crate) op: Op,
    pub(crate) confirmation: Option<Confirmation>,
    /// For an acquire or a reservation that counts with the votes of other servers: the tokens begin
    /// here or later, as if the clock showed this number. 0 for what the server chooses.
    pub(crate) least_token: u64,
}

impl Attempt {
    /// Names this attempt in its [`Event::Done`](super::Event::Done).
    pub fn id(&self) -> AttemptId {
        self.id
    }

    /// The name that is locked: at most 1 KiB, without control characters.
    pub fn key(&self) -> &str {
        self.key.as_str()
    }

    /// The owner that asks.
    pub fn owner(&self) -> &OwnerId {
        &self.owner
    }

    /// What this owner gets when the key is handed to it. The same in all attempts of one owner.
    pub fn claim(&self) -> Claim {
        self.claim
    }

    /// Beside whom the owner may have the key. The same in all attempts of one owner.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The function that asks, as text for people who inspect the server.
    pub fn label(&self) -> impl fmt::Display + use<> {
        self.label
    }

    /// Host, process and function, which a service should keep with the lock: [`Holder::who`](super::Holder::who)
    /// and [`Waiter::who`](super::Waiter::who) tell it.
    pub fn who(&self) -> impl fmt::Display + use<> {
        Who(self.label)
    }

    /// What is asked for.
    pub fn op(&self) -> &Op {
        &self.op
    }

    /// What else has to have the change before the operation counts as done. Only renewals and
    /// reservations have one, and only those that are sent to a backend with the
    /// [capability](super::Capabilities::with_confirmation). Where it is not fulfilled, the answer is a
    /// failure of the kind [`Unconfirmed`](super::BackendErrorKind::Unconfirmed) and
    /// [unknown outcome](super::Failure::outcome_unknown).
    pub fn confirmation(&self) -> Option<Confirmation> {
        self.confirmation
    }
}

/// The copies of a change without which it does not count. Each operation that is answered with
/// success covers all that the owner has been granted before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
#[non_exhaustive]
pub struct Confirmation {
    /// How many replicas must have it.
    pub replicas: u8,
    /// Whether it must be on the disk of the server, and of each of these replicas.
    pub fsync: bool,
    /// How long the service may take for it, once it has executed the operation.
    pub within: Duration,
}

impl Confirmation {
    /// Whether a lease that was confirmed so is one that was confirmed as `other` asks for.
    pub(crate) fn covers(confirmed: Option<Self>, other: Option<Self>) -> bool {
        other.is_none_or(|other| {
            confirmed.is_some_and(|confirmed| {
                confirmed.replicas >= other.replicas && confirmed.fsync >= other.fsync
            })
        })
    }
}

/// The number of an attempt. No two attempts of a pool have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AttemptId {
    pub(crate) lease: LeaseId,
    pub(crate) number: u64,
}

/// What an owner gets with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
#[non_exhaustive]
pub struct Claim {
    /// The ttl of a lease that is handed to a waiter, until the waiter renews it: a waiter that is
    /// gone delays the others for this long.
    pub ttl: Duration,
    /// How many fencing tokens to reserve with a grant: one for each holder inside the process. 1
    /// unless the backend has [token ranges](super::Capabilities::with_token_ranges).
    pub tokens: u32,
}

/// The operation of an attempt. Each is idempotent for one owner: executed twice, it has the same
/// effect as executed once, and an answer of the same meaning.
///
/// A backend answers an operation that it does not know with a [`Failure`](super::Failure) that is
/// not executed and does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
#[non_exhaustive]
pub enum Op {
    /// Take the key if it is free and no owner waits for it, or confirm it if this owner has it
    /// already. An owner with a tombstone gets [`Reply::Tombstoned`](super::Reply::Tombstoned).
    Acquire {
        /// How long the lease lasts unless it is renewed.
        ttl: Duration,
        /// What to do if the key is held, or other owners wait for it.
        if_held: IfHeld,
    },
    /// Let the lease end `ttl` from now, if this owner still has it. Never ends it sooner, and
    /// never takes a key that is free.
    Renew {
        /// Counted from the execution on.
        ttl: Duration,
    },
    /// Reserve fencing tokens, if this owner still has the key. The lease's end stays as it is.
    ///
    /// Sent only to a backend that has [token ranges](super::Capabilities::with_token_ranges).
    Reserve {
        /// How many tokens to reserve.
        tokens: u32,
    },
    /// Give the key up if this owner has it: hand it to the first waiter, if there is one.
    Release {
        /// Give up the place in the queue too.
        leave_queue: bool,
        /// Leave a tombstone that refuses this owner's acquires for this time, because one may
        /// still be on its way. Also when the owner did not have the key.
        tombstone: Option<Duration>,
        /// If this owner has the key, keep the others out for this time from now on, though it no longer
        /// has it. Sent only to a backend that
        /// [can do that](super::Capabilities::with_min_hold).
        keep: Option<Duration>,
    },
}

/// What an acquire does if the key is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub enum IfHeld {
    /// Take a place at the end of the queue, or keep the place that this owner has. Sent only to a
    /// backend that [has a queue](super::Capabilities::with_queue).
    Queue,
    /// Leave nothing behind.
    Refuse,
}
