//! One state: processes, servers, what is on its way between them, and what was seen so far.

#![expect(
    clippy::derived_hash_with_manual_eq,
    reason = "equal means of equal hash here"
)]

mod delivery;
mod ending;

use std::collections::VecDeque;
use std::time::Duration;

use super::fleet::Fleet;
use crate::backend::memory::Server;
use crate::backend::quorum::ballots::Ballots;
use crate::backend::quorum::desk::Effect;
use crate::backend::quorum::members::Members;
use crate::backend::quorum::simulation::{Client, State, TTL};
use crate::backend::{Attempt, Event, OwnerIds};
use crate::clock::Time;
use crate::key::Key;
use crate::model_check;

const TICK: Duration = Duration::from_millis(100);
/// A server is silent after a tick.
const PATIENCE: Duration = Duration::from_millis(60);
/// A server that has lost its data is away for longer than a ttl.
const AWAY: u8 = 6;

/// One transition, with everything that a process does at once because of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// A process wants the key.
    Ask(usize),
    /// A holder has finished, or a waiter leaves.
    Finish(usize),
    /// A process acts on the time.
    Wake(usize),
    /// The next request of a process arrives at a server, and is executed.
    Up(usize, usize),
    /// The next answer of a server arrives at a process.
    Down(usize, usize),
    /// The connection between them ends. Requests on it may still arrive, answers do not.
    Break(usize, usize),
    /// A server executes a request that was sent on a connection that has ended.
    Late(usize),
    /// A process is killed.
    Crash(usize),
    /// A server loses its data.
    Forget(usize),
    Tick,
}

/// What has been seen.
#[derive(Debug, Clone, Copy, Default, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a list of what has been seen"
)]
pub(super) struct Seen {
    pub(super) grants: u8,
    pub(super) raised: bool,
    pub(super) given_back: bool,
    pub(super) regressed: bool,
    /// A process was killed, or a release may be lost: something may be left for a while.
    left_something: bool,
}

#[derive(Clone, Hash)]
pub(super) struct World {
    ticks: u8,
    answers_at_once: bool,
    waits: bool,
    delays_restarts: bool,
    broken: u8,
    crashes: u8,
    forgets: u8,
    servers: Vec<Server<usize>>,
    /// When a server is back that has lost its data.
    away_until: Vec<u8>,
    processes: Vec<Process>,
    /// Requests of connections that have ended: the process, the server, and what it is asked.
    late: Vec<(usize, usize, Attempt)>,
    /// The greatest token of a lease that was valid when it came.
    greatest: u64,
    pub(super) seen: Seen,
    /// While draining: how much time has passed since the last tick.
    drained: Duration,
}

#[derive(Clone, Hash)]
struct Process {
    client: Client,
    is_crashed: bool,
    has_asked: bool,
    /// The token that it has been granted.
    token: u64,
    /// On the way to each server and back, in order.
    up: [VecDeque<Attempt>; 3],
    down: [VecDeque<Event>; 3],
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        model_check::is_same(self, other)
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.finding())
    }
}

impl World {
    pub(super) fn new(fleet: &Fleet) -> Self {
        let process = |number: usize| {
            let bits = u8::try_from(number + 1).expect("a few processes");
            let members = Members::new(["a", "b", "c"].map(str::to_owned));
            let ballots = Ballots::new(members, PATIENCE, OwnerIds::from_bits([bits; 16]));
            Process {
                client: Client::new(ballots, bits),
                is_crashed: false,
                has_asked: false,
                token: 0,
                up: Default::default(),
                down: Default::default(),
            }
        };
        Self {
            ticks: 0,
            answers_at_once: fleet.answers_at_once,
            waits: fleet.waits,
            delays_restarts: fleet.delays_restarts,
            broken: fleet.broken,
            crashes: fleet.crashes,
            forgets: fleet.forgets,
            servers: fleet.counters.map(Server::new).into(),
            away_until: vec![0; fleet.counters.len()],
            processes: (0..fleet.processes).map(process).collect(),
            late: Vec::new(),
            greatest: 0,
            seen: Seen::default(),
            drained: Duration::ZERO,
        }
    }

    fn key() -> Key {
        // Its servers stand in the order a, b, c.
        Key::new("order:1").expect("a key")
    }

    fn now(&self) -> Time {
        Time::from_nanos(1_000_000_000) + TICK * u32::from(self.ticks) + self.drained
    }

    pub(super) fn ticks(&self) -> u8 {
        self.ticks
    }

    /// How many processes believe at present that they hold the lease.
    pub(super) fn valid_holders(&self) -> usize {
        let is_valid = |process: &&Process| {
            let mut states = process.client.calls.iter().map(|call| call.state);
            !process.is_crashed
                && states.any(|state| matches!(state, State::Holding { valid_until, .. } if self.now() < valid_until))
        };
        self.processes.iter().filter(is_valid).count()
    }

    /// Nothing is on its way.
    pub(super) fn is_still(&self) -> bool {
        let is_still = |process: &Process| {
            let up = process.up.iter().all(VecDeque::is_empty);
            up && process.down.iter().all(VecDeque::is_empty)
        };
        self.late.is_empty() && self.processes.iter().all(is_still)
    }

    pub(super) fn actions(&self, fleet: &Fleet, actions: &mut Vec<Action>) {
        for (n, process) in self.processes.iter().enumerate() {
            if process.is_crashed {
                continue;
            }
            match process.client.calls.first().map(|call| call.state) {
                None if !process.has_asked => actions.push(Action::Ask(n)),
                Some(State::Asking) if !fleet.leaves => {}
                Some(State::Asking | State::Holding { .. }) => actions.push(Action::Finish(n)),
                _ => {}
            }
            if process.client.wakeup() <= self.now() {
                actions.push(Action::Wake(n));
            }
            for server in 0..self.servers.len() {
                if !process.up[server].is_empty() {
                    actions.push(Action::Up(n, server));
                }
                if !process.down[server].is_empty() {
                    actions.push(Action::Down(n, server));
                }
                let is_used = !(process.up[server].is_empty() && process.down[server].is_empty());
                if self.broken > 0 && is_used {
                    actions.push(Action::Break(n, server));
                }
            }
            if self.crashes > 0 && !process.client.calls.is_empty() {
                actions.push(Action::Crash(n));
            }
        }
        actions.extend((0..self.late.len()).map(Action::Late));
        if self.forgets > 0 {
            actions.extend((0..self.servers.len()).map(Action::Forget));
        }
        if self.ticks < fleet.ticks {
            actions.push(Action::Tick);
        }
    }

    pub(super) fn act(&mut self, action: Action) {
        let now = self.now();
        match action {
            Action::Ask(n) => {
                let tries_once = !self.waits;
                let process = &mut self.processes[n];
                process.has_asked = true;
                process
                    .client
                    .call(now, Self::key(), tries_once, Time::NEVER);
                self.settle(n);
            }
            Action::Finish(n) => self.finish(n),
            Action::Wake(n) => self.settle(n),
            Action::Up(n, server) => {
                let attempt = self.processes[n].up[server].pop_front().expect("a request");
                self.execute(n, server, &attempt, false);
            }
            Action::Down(n, server) => self.down(n, server),
            Action::Break(n, server) => self.break_connection(n, server),
            Action::Late(place) => {
                let (n, server, attempt) = self.late.remove(place);
                self.execute(n, server, &attempt, true);
            }
            Action::Crash(n) => {
                self.crashes -= 1;
                self.seen.left_something = true;
                let process = &mut self.processes[n];
                process.is_crashed = true;
                process.down = Default::default();
                for (server, sent) in std::mem::take(&mut process.up).into_iter().enumerate() {
                    let sent = sent.into_iter().map(|attempt| (n, server, attempt));
                    self.late.extend(sent);
                }
            }
            Action::Forget(server) => {
                self.forgets -= 1;
                self.seen.left_something = true;
                for n in 0..self.processes.len() {
                    self.break_connection(n, server);
                    self.late.retain(|(_, to, _)| *to != server);
                }
                // From the clock, which is ahead of all tokens handed out.
                self.servers[server] = Server::new(now.as_nanos() / 1000);
                if self.delays_restarts {
                    self.away_until[server] = self.ticks + AWAY;
                }
            }
            Action::Tick => self.ticks += 1,
        }
    }

    fn finish(&mut self, n: usize) {
        let now = self.now();
        for call in &mut self.processes[n].client.calls {
            call.done_at = now;
        }
        self.settle(n);
    }

    /// Does what a process wants to be done, and looks at what it holds then.
    fn settle(&mut self, n: usize) {
        let now = self.now();
        let process = &mut self.processes[n];
        process.client.on_time(now);
        while let Some(effect) = process.client.ballots.next_effect() {
            match effect {
                Effect::Submit(server, attempt) => process.up[server].push_back(attempt),
                Effect::Overdue(..) => {}
                Effect::Tell(event) => {
                    process.client.on_event(now, event);
                    process.client.on_time(now);
                }
            }
        }
        let mut states = process.client.calls.iter().map(|call| call.state);
        let held = states.find_map(|state| match state {
            State::Holding { token, valid_until } => Some((token, valid_until)),
            _ => None,
        });
        if let Some((token, _)) = held.filter(|(token, end)| *token != process.token && now < *end)
        {
            process.token = token;
            self.seen.grants += 1;
            self.seen.regressed |= token <= self.greatest;
            self.greatest = self.greatest.max(token);
        }
    }

    /// Describes the state in which the run ended.
    pub(super) fn finding(&self) -> String {
        let calls: Vec<_> = self.processes.iter().map(|it| &it.client.calls).collect();
        format!("calls {calls:?}; late {:?}; {:?}", self.late, self.servers)
    }
}

/// The time that a lease lasts, so that a server which is away is so for longer.
const _: () = assert!(TTL.as_millis() < TICK.as_millis() * AWAY as u128);
