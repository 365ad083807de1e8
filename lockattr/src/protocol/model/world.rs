//! One state: processes, the server, what is on its way between them, and what was seen so far.

#![expect(
    clippy::derived_hash_with_manual_eq,
    reason = "equal means of equal hash here"
)]

use std::collections::VecDeque;
use std::time::Duration;

use super::fleet::Fleet;
use super::process::{Call, Numbered, Process};
use crate::backend::memory::{self, Server};
use crate::backend::{Attempt, Event, LeaseId, Op, OwnerIds, Reply};
use crate::clock::Time;
use crate::key::Key;
use crate::label::{Function, Label};
use crate::mode::Mode;
use crate::model_check;
use crate::protocol::{Batch, Coordinator, Effect, Limits, LineName, Notice, Queued, Terms};
use crate::spec::Wait;

pub(super) const TTL: Duration = Duration::from_millis(200);
/// A lease ends with its second tick, for its holder and on the server; an answer is overdue and a
/// renewal due with the first tick.
pub(super) const TICK: Duration = Duration::from_millis(100);
/// Sets the ttl of claims, and when a waiter asks again: after three fifths of it.
const CLAIM_WINDOW: Duration = Duration::from_millis(500);

/// Which events the run has seen.
#[derive(Debug, Clone, Copy, Default, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a list of what has been seen"
)]
pub(super) struct Seen {
    pub(super) in_turn: bool,
    pub(super) lost: bool,
    pub(super) returned: bool,
    pub(super) refused: bool,
    pub(super) stale_write: bool,
    pub(super) token_regressed: bool,
    /// A release was abandoned, or a process killed: something may be left for a while.
    pub(super) left_something: bool,
}

#[derive(Debug, Clone, Hash)]
pub(super) struct World {
    pub(super) ticks: u8,
    /// How far the server's clock is ahead.
    pub(super) ahead: Duration,
    pub(super) broken: u8,
    pub(super) crashes: u8,
    pub(super) forgets: u8,
    pub(super) steps: u8,
    pub(super) slow_clock: bool,
    pub(super) server: Server<usize>,
    pub(super) processes: Vec<Process>,
    /// Requests sent on connections that have ended, which may still be executed, in any order.
    /// Their answers arrive nowhere, but a waiter may be handed the key.
    pub(super) late: Vec<(usize, Attempt)>,
    /// The greatest token of a lease that was valid when it came.
    pub(super) greatest: u64,
    /// The same of an exclusive lease.
    pub(super) greatest_exclusive: u64,
    /// The process that got the latest lease.
    pub(super) latest: Option<usize>,
    /// Whether the server keeps its data and its clock.
    pub(super) excludes: bool,
    /// The greatest token that the fenced resource has seen.
    pub(super) written: u64,
    pub(super) seen: Seen,
    /// While draining: how much time has passed since the last tick.
    pub(super) drained: Duration,
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        model_check::is_same(self, other)
    }
}

impl World {
    pub(super) fn new(fleet: &Fleet) -> Self {
        let limits = Limits {
            in_flight: 4,
            response_timeout: TTL,
            claim_window: CLAIM_WINDOW,
            batch: Batch { size: 1, time: TTL },
        };
        let process = |n: usize| {
            let bits = [u8::try_from(n).expect("a few processes"); 16];
            let jitter = fastrand::Rng::with_seed(0);
            Process {
                coordinator: Coordinator::new(
                    limits,
                    memory::capabilities(),
                    OwnerIds::from_bits(bits),
                    jitter,
                ),
                is_crashed: false,
                calls: fleet.calls,
                last_call: 0,
                mode: fleet.modes[n % fleet.modes.len()],
                last_asked: LeaseId(0),
                call: None,
                known: 0,
                up: VecDeque::new(),
                down: VecDeque::new(),
            }
        };
        Self {
            ticks: 0,
            ahead: Duration::ZERO,
            broken: fleet.faults.broken,
            crashes: fleet.faults.crashes,
            forgets: fleet.faults.forgets,
            steps: fleet.faults.steps,
            slow_clock: fleet.faults.slow_clock,
            server: Server::new(0),
            processes: (0..fleet.processes).map(process).collect(),
            late: Vec::new(),
            greatest: 0,
            greatest_exclusive: 0,
            latest: None,
            excludes: fleet.excludes(),
            written: 0,
            seen: Seen::default(),
            drained: Duration::ZERO,
        }
    }

    pub(super) fn key() -> Key {
        Key::new("k").expect("a key")
    }

    pub(super) fn terms(mode: Mode) -> Terms {
        Terms {
            key: Self::key(),
            ttl: TTL,
            wait: Wait::Forever,
            renew: true,
            max_hold: None,
            confirmation: None,
            mode,
            min_hold: None,
            label: Label::Function(&Function {
                path: "model::call",
                keys: "k",
            }),
        }
    }

    /// How long the run has lasted.
    pub(super) fn now(&self) -> Duration {
        TICK * u32::from(self.ticks) + self.drained
    }

    /// The time on the clock of a process. It begins above zero, so that earlier times exist.
    pub(super) fn clock(&self, process: usize) -> Time {
        let now = self.now();
        let slow = self.slow_clock && process == 0;
        let shown = if slow {
            now.saturating_sub(now / 100)
        } else {
            now
        };
        Time::from_nanos(1_000_000_000) + shown
    }

    /// The time on the server's clock.
    pub(super) fn server_clock(&self) -> Time {
        Time::from_nanos(1_000_000_000) + self.now() + self.ahead
    }

    /// The modes of the processes that believe at present that they hold a lease.
    pub(super) fn valid_holders(&self) -> Vec<Mode> {
        let is_valid = |(n, process): &(usize, &Process)| match process.call {
            Some(Call::Holding { valid_until, .. }) => {
                !process.is_crashed && self.clock(*n) < valid_until
            }
            _ => false,
        };
        let holders = self.processes.iter().enumerate().filter(is_valid);
        holders.map(|(_, process)| process.mode).collect()
    }

    pub(super) fn tokens_grow(&self) -> bool {
        !self.seen.token_regressed
    }

    /// No process wants anything, nothing is on its way, and no process was killed.
    pub(super) fn is_quiet(&self) -> bool {
        let is_idle =
            |process: &Process| process.call.is_none() && process.coordinator.unfinished() == 0;
        !self.seen.left_something && self.late.is_empty() && self.processes.iter().all(is_idle)
    }

    pub(super) fn is_free(&self) -> bool {
        self.server.is_free(self.server_clock(), &Self::key())
    }

    /// The server executes a request. Returns its reply.
    pub(super) fn execute(&mut self, process: usize, attempt: &Attempt) -> Reply {
        let now = self.server_clock();
        let mut told = Vec::new();
        let processes = &self.processes;
        let reply = self.server.execute(now, attempt, process, |handoff| {
            // A process that is gone receives no published message.
            let is_there = !processes[handoff.waiter].is_crashed;
            told.extend(is_there.then_some(handoff));
            is_there
        });
        self.seen.refused |= reply == Reply::Tombstoned;
        for handoff in told {
            let event = Event::HandedOver {
                owner: handoff.owner,
                granted: handoff.granted,
                since: self.clock(handoff.waiter),
                ttl: handoff.ttl,
            };
            self.processes[handoff.waiter].down.push_back(event);
        }
        reply
    }

    /// A process wants the key.
    pub(super) fn ask(&mut self, n: usize) {
        let now = self.clock(n);
        let process = &mut self.processes[n];
        process.calls -= 1;
        process.last_call += 1;
        process.known = self.greatest;
        let caller = Numbered(process.last_call);
        let queued = process
            .coordinator
            .acquire(now, Self::terms(process.mode).into(), caller);
        process.call = match queued {
            Queued::Waiting { waiter, .. } => Some(Call::Waiting { waiter }),
            Queued::Refused(..) => None,
        };
        self.settle(n);
    }

    /// A process performs the effects of its coordinator.
    pub(super) fn settle(&mut self, n: usize) {
        let now = self.clock(n);
        loop {
            let process = &mut self.processes[n];
            if let Some(effect) = process.coordinator.next_effect() {
                self.perform(n, effect);
            } else if let Some(attempt) = process.coordinator.next_attempt(now) {
                let lease = attempt.id.lease;
                if matches!(attempt.op, Op::Acquire { .. }) {
                    process.last_asked = lease;
                }
                let is_waiting = matches!(process.call, Some(Call::Waiting { .. }));
                let is_release = matches!(attempt.op, Op::Release { .. });
                self.seen.returned |= is_release && is_waiting && lease == process.last_asked;
                process.up.push_back(attempt);
            } else {
                process.coordinator.take_overdue();
                process.coordinator.reseed();
                return;
            }
        }
    }

    fn perform(&mut self, n: usize, effect: Effect<Numbered, ()>) {
        let now = self.clock(n);
        let process = &mut self.processes[n];
        let is_waiting = matches!(process.call, Some(Call::Waiting { .. }));
        match effect {
            Effect::Granted {
                lease,
                waiter,
                token,
                valid_until,
            } => {
                let line = waiter.line();
                if is_waiting && waiter.caller.0 == process.last_call {
                    let Some(Call::Waiting { waiter }) = process.call else {
                        unreachable!("it waits")
                    };
                    process.call = Some(Call::Holding {
                        waiter,
                        lease,
                        token,
                        valid_until,
                    });
                    self.note_grant(n, token, now < valid_until);
                } else {
                    self.give_back(n, &line, lease);
                }
            }
            Effect::Refused { waiter, .. } => {
                if waiter.caller.0 == process.last_call {
                    process.call = None;
                }
            }
            Effect::Noticed { lease, notice, .. } => self.hear(n, lease, &notice),
            // A caller takes up its lease at once, and no request waits for its answer.
            Effect::CheckOffer { .. } | Effect::Answered { .. } => {}
        }
    }

    fn hear(&mut self, n: usize, id: LeaseId, notice: &Notice) {
        self.seen.left_something |= matches!(notice, Notice::ReleaseAbandoned);
        let process = &mut self.processes[n];
        let line = process.line();
        let Some(Call::Holding {
            lease, valid_until, ..
        }) = &mut process.call
        else {
            return;
        };
        if *lease != id {
            return;
        }
        match notice {
            Notice::Renewed {
                valid_until: until, ..
            } => *valid_until = *until,
            Notice::Lost(_) => {
                process.call = None;
                self.seen.lost = true;
                let line = line.expect("it held the lease");
                self.give_back(n, &line, id);
            }
            _ => {}
        }
    }

    pub(super) fn give_back(&mut self, n: usize, line: &LineName, lease: LeaseId) {
        let now = self.clock(n);
        let coordinator = &mut self.processes[n].coordinator;
        let _over = coordinator.release(now, line, (lease, true), &mut None);
    }

    /// A valid lease has a greater token than all leases that came before. Where exclusion may
    /// fail, replies may cross: then it is greater than those that had come when the process asked.
    fn note_grant(&mut self, n: usize, token: u64, is_valid: bool) {
        if is_valid {
            let known = self.processes[n].known;
            // Of two that are let in together, either may hear of it first.
            let own = self.processes[n].mode;
            let greatest = if own.is_exclusive() {
                self.greatest
            } else {
                self.greatest_exclusive
            };
            let bound = if self.excludes { greatest } else { known };
            self.seen.token_regressed |= token <= bound;
            self.seen.in_turn |= self.latest.is_some_and(|latest| latest != n);
            self.greatest = self.greatest.max(token);
            if own.is_exclusive() {
                self.greatest_exclusive = self.greatest_exclusive.max(token);
            }
            self.latest = Some(n);
        }
    }

    /// The holder writes to the fenced resource.
    pub(super) fn write(&mut self, token: u64) {
        self.seen.stale_write |= token < self.written;
        self.written = self.written.max(token);
    }

    /// Describes the state in which the run ended.
    pub(super) fn finding(&self) -> String {
        let calls: Vec<_> = self.processes.iter().map(|process| process.call).collect();
        format!("calls {calls:?}; late {:?}; {:?}", self.late, self.server)
    }
}
