//! One process of a fleet, and what it does at present.

use std::collections::VecDeque;

use super::world::World;
use crate::backend::{Attempt, Event, LeaseId};
use crate::clock::Time;
use crate::mode::Mode;
use crate::protocol::{Caller, Coordinator, LineName};

/// A call of a process, by its number.
#[derive(Debug, Clone, Hash)]
pub(super) struct Numbered(pub(super) u64);

impl Caller for Numbered {
    type Trace = ();

    fn trace(&self) {}
}

#[derive(Debug, Clone, Hash)]
pub(super) struct Process {
    pub(super) coordinator: Coordinator<Numbered, ()>,
    pub(super) is_crashed: bool,
    /// How often it will still want the key.
    pub(super) calls: u8,
    pub(super) last_call: u64,
    pub(super) mode: Mode,
    /// The latest lease that it asked for.
    pub(super) last_asked: LeaseId,
    pub(super) call: Option<Call>,
    /// The greatest token that any process had received when this one asked.
    pub(super) known: u64,
    /// On the way to the server, in order.
    pub(super) up: VecDeque<Attempt>,
    /// On the way back from the server.
    pub(super) down: VecDeque<Event>,
}

/// What the process does at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Call {
    Waiting {
        waiter: u64,
    },
    Holding {
        waiter: u64,
        lease: LeaseId,
        token: u64,
        valid_until: Time,
    },
}

impl Process {
    /// The line of its present call.
    pub(super) fn line(&self) -> Option<LineName> {
        let (Call::Waiting { waiter } | Call::Holding { waiter, .. }) = self.call?;
        Some(LineName::of(&World::terms(self.mode), waiter))
    }
}
