//! Several processes, one server, and a network that delays, loses and reorders.

mod callers;
mod ending;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use super::super::{Batch, Coordinator, Limits, LineName};
use crate::backend::memory::{self, Server};
use crate::backend::{
    Attempt, BackendError, BackendErrorKind, Event, Failure, LeaseId, OwnerIds, Reply,
};
use crate::clock::Time;
use crate::key::Key;
use crate::mode::{self, Mode};
use callers::Numbered;

const TTL: Duration = Duration::from_secs(1);
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(100);
const CLAIM_WINDOW: Duration = Duration::from_millis(500);
/// How long the I/O thread may take to run once it is woken.
const LONGEST_WAKE: Duration = Duration::from_millis(4);
const PROCESSES: usize = 3;
/// How long a confirmation may take; the answer comes late enough without it.
const WITHIN: Duration = Duration::from_millis(20);
const KEYS: [&str; 2] = ["a", "b"];
/// Of the second key, with modes.
const PERMITS: u32 = 3;

/// How bad the network is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weather {
    /// Of a hundred messages.
    pub(super) lost: u32,
    /// Of a hundred messages, delayed for up to [`TTL`].
    pub(super) late: u32,
    /// In how many of ten steps a caller finishes; with none, leases end by themselves.
    pub(super) haste: u32,
    /// Of a hundred changes that calls ask to be confirmed. With none, no call does.
    pub(super) unconfirmed: u32,
    /// Whether one key has readers and writers, and the other has permits.
    pub(super) modes: bool,
    /// Whether some calls have a `min_hold`.
    pub(super) keeps: bool,
}

#[derive(Debug)]
enum Message {
    ToServer {
        process: usize,
        attempt: Attempt,
    },
    ToProcess {
        process: usize,
        event: Event,
    },
    /// The I/O thread runs, because a caller's thread woke it.
    Woken {
        process: usize,
    },
}

/// What a caller knows of its lease.
#[derive(Debug)]
struct Call {
    key: Key,
    mode: Mode,
    answer_by: Time,
    /// Whether it asks for confirmation.
    asks: bool,
    state: CallState,
    /// The waiter in the local queue, and its line.
    waiter: Option<(u64, LineName)>,
}

#[derive(Debug, PartialEq)]
enum CallState {
    Waiting,
    Holding(Holding),
    Finished,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Holding {
    lease: LeaseId,
    valid_until: Time,
    /// Since when it has its lease without polling.
    asleep_since: Option<Time>,
}

impl Call {
    fn held(&self) -> Option<Holding> {
        match self.state {
            CallState::Holding(held) => Some(held),
            _ => None,
        }
    }
}

/// What a caller, or the end of the process, requested from the coordinator.
#[derive(Debug)]
enum Request {
    Release(u64),
    Extension(u64),
    Shutdown,
}

struct Extension {
    lease: LeaseId,
    ttl: Duration,
    asked_at: Time,
}

/// One process of the fleet.
struct Process {
    coordinator: Coordinator<Numbered, Request>,
    tenures: HashMap<LeaseId, Tenure>,
    /// The requests that wait for their answers, by their numbers.
    extensions: BTreeMap<u64, Extension>,
    releases: HashSet<u64>,
    is_shut_down: bool,
    /// When the I/O thread wakes up by itself.
    sleeps_until: Time,
}

/// What holders of a lease see of it.
struct Tenure {
    line: LineName,
    valid_until: Time,
    holder: Option<u64>,
    token: u64,
}

pub(super) struct World {
    now: Time,
    random: fastrand::Rng,
    weather: Weather,
    /// The process that is cut off from the server, if one is.
    dark: Option<usize>,
    server: Server<usize>,
    processes: Vec<Process>,
    network: BTreeMap<(Time, u64), Message>,
    messages: u64,
    calls: HashMap<(usize, u64), Call>,
    /// The leases of which a renewal was confirmed.
    confirmed: HashSet<(usize, LeaseId)>,
    /// The greatest tokens of each key: of all holders, and of exclusive holders.
    last_tokens: HashMap<Key, (u64, u64)>,
    tokens: HashSet<u64>,
    pub(super) granted: u64,
    pub(super) passed_on: u64,
    pub(super) cancelled: u64,
    /// Leases that went to the next call because their callers did not poll.
    pub(super) missed: u64,
    requests: u64,
    pub(super) extended: u64,
    /// Releases that never reached the server.
    abandoned: u32,
}

impl World {
    pub(super) fn new(seed: u64, weather: Weather) -> Self {
        let limits = Limits {
            in_flight: 4,
            response_timeout: RESPONSE_TIMEOUT,
            claim_window: CLAIM_WINDOW,
            batch: Batch {
                size: 4,
                time: Duration::from_secs(2),
            },
        };
        let process = |n: usize| {
            let owners = OwnerIds::from_bits([u8::try_from(n).unwrap(); 16]);
            let random = fastrand::Rng::with_seed(seed ^ n as u64);
            Process {
                coordinator: Coordinator::new(limits, memory::capabilities(), owners, random),
                tenures: HashMap::new(),
                extensions: BTreeMap::new(),
                releases: HashSet::new(),
                is_shut_down: false,
                sleeps_until: Time::NEVER,
            }
        };
        Self {
            now: Time::from_nanos(1),
            random: fastrand::Rng::with_seed(seed),
            weather,
            dark: None,
            server: Server::new(0),
            processes: (0..PROCESSES).map(process).collect(),
            network: BTreeMap::new(),
            messages: 0,
            calls: HashMap::new(),
            confirmed: HashSet::new(),
            last_tokens: HashMap::new(),
            tokens: HashSet::new(),
            granted: 0,
            passed_on: 0,
            cancelled: 0,
            missed: 0,
            requests: 0,
            extended: 0,
            abandoned: 0,
        }
    }

    /// One random thing happens, and everything that follows at once.
    pub(super) fn step(&mut self, id: u64) {
        let process = self.random.usize(..PROCESSES);
        if self.random.u32(..10) < self.weather.haste {
            self.finish_somebody();
        }
        match self.random.u32(..10) {
            0..4 => self.acquire(process, id),
            4 if self.random.u32(..4) == 0 => self.extend_somebody(),
            5 => self.dark = (self.weather.lost > 0 && self.random.bool()).then_some(process),
            _ => {}
        }
        let pause = Duration::from_micros(self.random.u64(..60_000));
        self.run_until(self.now + pause);
    }

    fn run_until(&mut self, end: Time) {
        loop {
            let wakeups = self.processes.iter().map(|process| process.sleeps_until);
            let timer = wakeups.min().unwrap();
            let message = self
                .network
                .first_key_value()
                .map_or(Time::NEVER, |((at, _), _)| *at);
            let next = timer.min(message);
            if next > end {
                self.now = end;
                return self.check();
            }
            self.now = self.now.max(next);
            if message <= timer {
                let (_, message) = self.network.pop_first().unwrap();
                self.deliver(message);
            } else {
                for process in 0..PROCESSES {
                    if self.processes[process].sleeps_until <= self.now {
                        self.settle(process);
                    }
                }
            }
            self.check();
        }
    }

    fn deliver(&mut self, message: Message) {
        match message {
            Message::ToServer { process, attempt } => {
                let mut handoffs = Vec::new();
                let reply = self.server.execute(self.now, &attempt, process, |handoff| {
                    handoffs.push(handoff);
                    true
                });
                let outcome = if attempt.confirmation.is_none() {
                    Ok(reply)
                } else if self.random.u32(..100) < self.weather.unconfirmed {
                    Err(unconfirmed())
                } else {
                    if let Reply::Renewed { .. } = reply {
                        self.confirmed.insert((process, attempt.id.lease));
                    }
                    Ok(reply)
                };
                self.post(Message::ToProcess {
                    process,
                    event: Event::Done(attempt.id, outcome),
                });
                for handoff in handoffs {
                    let event = Event::HandedOver {
                        owner: handoff.owner,
                        granted: handoff.granted,
                        since: self.now,
                        ttl: handoff.ttl,
                    };
                    self.post(Message::ToProcess {
                        process: handoff.waiter,
                        event,
                    });
                }
            }
            Message::ToProcess { process, event } => {
                let coordinator = &mut self.processes[process].coordinator;
                coordinator.on_event(self.now, event);
                self.settle(process);
            }
            Message::Woken { process } => self.settle(process),
        }
    }

    /// Puts a message on the network: mostly delivered soon, sometimes late, never, or twice.
    fn post(&mut self, message: Message) {
        let (Message::ToServer { process, .. }
        | Message::ToProcess { process, .. }
        | Message::Woken { process }) = &message;
        if self.dark == Some(*process) {
            return;
        }
        let luck = self.random.u32(..100);
        if luck < self.weather.lost {
            // The sender may hear of a lost connection before its patience ends.
            if let (Message::ToServer { process, attempt }, true) = (&message, self.random.bool()) {
                let (process, event) = (
                    *process,
                    Event::Done(attempt.id, Err(broken(luck.is_multiple_of(2)))),
                );
                self.schedule(
                    Duration::from_millis(1),
                    Message::ToProcess { process, event },
                );
            }
            return;
        }
        let most = if luck < self.weather.lost + self.weather.late {
            TTL
        } else {
            Duration::from_millis(5)
        };
        let delay = most.mul_f64(self.random.f64());
        self.schedule(delay, message);
    }

    fn schedule(&mut self, delay: Duration, message: Message) {
        self.messages += 1;
        self.network
            .insert((self.now + delay, self.messages), message);
    }

    /// The rest of a round of the I/O thread: acts on the time, performs the coordinator's effects,
    /// and sends its attempts.
    fn settle(&mut self, process: usize) {
        let now = self.now;
        let coordinator = &mut self.processes[process].coordinator;
        coordinator.on_time(now);
        coordinator.take_overdue();
        loop {
            let coordinator = &mut self.processes[process].coordinator;
            if let Some(effect) = coordinator.next_effect() {
                self.perform(process, effect);
            } else if let Some(attempt) = coordinator.next_attempt(now) {
                self.post(Message::ToServer { process, attempt });
            } else {
                break;
            }
        }
        let settled = &mut self.processes[process];
        settled.sleeps_until = settled.coordinator.sleep(now);
    }

    /// The holders of each key within their validity may have it together.
    fn check(&self) {
        for key in KEYS {
            let holders = self.calls.values().filter(|call| {
                let held = call.held();
                held.is_some_and(|held| self.now < held.valid_until) && call.key.as_str() == key
            });
            let modes: Vec<Mode> = holders.map(|call| call.mode).collect();
            assert!(mode::are_compatible(&modes), "{modes:?} have {key}");
        }
        let asleep = self.calls.values().filter_map(Call::held);
        for since in asleep.filter_map(|held| held.asleep_since) {
            let noticed = since + CLAIM_WINDOW + LONGEST_WAKE;
            assert!(
                self.now <= noticed,
                "a lease is kept for a caller that does not look"
            );
        }
    }
}

fn broken(maybe_executed: bool) -> Failure {
    let error = BackendError::new(BackendErrorKind::Unreachable, "the network ate it");
    Failure {
        maybe_executed,
        passing: true,
        error,
    }
}

fn unconfirmed() -> Failure {
    let kind = BackendErrorKind::Unconfirmed {
        confirmed: 0,
        wanted: 1,
    };
    Failure::outcome_unknown(BackendError::new(kind, "no replica has it"))
}
