//! Several keepers, one server, and a network that delays, loses and reorders.

mod callers;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use super::super::{Batch, Keeper, Limits, LocalQueues};
use crate::backend::memory::Server;
use crate::backend::{
    Attempt, AttemptId, BackendError, BackendErrorKind, Claim, Event, Failure, Op, Reply,
};
use crate::clock::Time;
use crate::key::Key;
use crate::label::Label;
use crate::owner::OwnerIds;
use crate::timing;
use callers::Command;

const TTL: Duration = Duration::from_secs(1);
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(100);
const CLAIM_WINDOW: Duration = Duration::from_millis(500);
/// How long the I/O thread may take to come to a command.
const LONGEST_COMMAND: Duration = Duration::from_millis(4);
const KEEPERS: usize = 3;
const KEYS: [&str; 2] = ["a", "b"];

/// How bad the network is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weather {
    /// Of a hundred messages.
    pub(super) lost: u32,
    /// Of a hundred messages, delayed for up to [`TTL`].
    pub(super) late: u32,
    /// How often somebody finishes, of ten steps; with none, leases end by themselves.
    pub(super) haste: u32,
}

#[derive(Debug)]
enum Message {
    ToServer {
        keeper: usize,
        attempt: Attempt,
    },
    ToKeeper {
        keeper: usize,
        event: Event,
    },
    /// The I/O thread takes the next command of any of its callers.
    Command {
        keeper: usize,
    },
}

/// What a caller knows of its lease.
#[derive(Debug)]
struct Caller {
    key: Key,
    answer_by: Time,
    state: CallerState,
    /// Its place in the local queue.
    waiter: u64,
}

#[derive(Debug, PartialEq)]
enum CallerState {
    Waiting,
    Holding(Holding),
    Finished,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Holding {
    tenure: u64,
    valid_until: Time,
    /// Since when it has its lease without looking.
    asleep_since: Option<Time>,
}

impl Caller {
    fn held(&self) -> Option<Holding> {
        match self.state {
            CallerState::Holding(held) => Some(held),
            _ => None,
        }
    }
}

struct Extension {
    tenure: u64,
    ttl: Duration,
    asked_at: Time,
}

/// One process of the fleet. Callers do to the queues what they do under their mutex, at once; what
/// follows from that for the keeper is sent to the I/O thread.
struct Process {
    keeper: Keeper,
    queues: LocalQueues<u64>,
    tenures: HashMap<u64, Tenure>,
    /// Those that wait for their answer, by their numbers.
    extensions: BTreeMap<u64, Extension>,
    /// What callers have sent, and the I/O thread not taken yet: in the order of each caller, and in
    /// any order otherwise.
    inbox: BTreeMap<u64, VecDeque<Command>>,
    /// When the I/O thread wakes up by itself.
    sleeps_until: Time,
}

/// What a process has of the server, or asks for.
struct Tenure {
    key: Key,
    valid_until: Time,
    is_lost: bool,
    holder: Option<u64>,
    token: u64,
}

pub(super) struct World {
    now: Time,
    random: fastrand::Rng,
    weather: Weather,
    /// The keeper that is cut off from the server, if one is.
    dark: Option<usize>,
    server: Server<usize>,
    keepers: Vec<Process>,
    network: BTreeMap<(Time, u64), Message>,
    messages: u64,
    callers: HashMap<(usize, u64), Caller>,
    last_token: HashMap<Key, u64>,
    pub(super) granted: u64,
    pub(super) passed_on: u64,
    pub(super) adopted: u64,
    pub(super) cancelled: u64,
    /// Leases that went on because their callers did not look.
    pub(super) missed: u64,
    extensions: u64,
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
        let keeper = |n: usize| {
            let owners = OwnerIds::from_bits([u8::try_from(n).unwrap(); 16]);
            let random = fastrand::Rng::with_seed(seed ^ n as u64);
            Process {
                keeper: Keeper::new(limits, owners, random),
                queues: LocalQueues::new(limits),
                tenures: HashMap::new(),
                extensions: BTreeMap::new(),
                inbox: BTreeMap::new(),
                sleeps_until: Time::NEVER,
            }
        };
        Self {
            now: Time::from_nanos(1),
            random: fastrand::Rng::with_seed(seed),
            weather,
            dark: None,
            server: Server::new(0),
            keepers: (0..KEEPERS).map(keeper).collect(),
            network: BTreeMap::new(),
            messages: 0,
            callers: HashMap::new(),
            last_token: HashMap::new(),
            granted: 0,
            passed_on: 0,
            adopted: 0,
            cancelled: 0,
            missed: 0,
            extensions: 0,
            extended: 0,
            abandoned: 0,
        }
    }

    /// One random thing happens, and everything that follows at once.
    pub(super) fn step(&mut self, id: u64) {
        let keeper = self.random.usize(..KEEPERS);
        if self.random.u32(..10) < self.weather.haste {
            self.finish_somebody();
        }
        match self.random.u32(..10) {
            0..4 => self.acquire(keeper, id),
            4 if self.random.u32(..4) == 0 => self.extend_somebody(),
            5 => self.dark = (self.weather.lost > 0 && self.random.bool()).then_some(keeper),
            _ => {}
        }
        let pause = Duration::from_micros(self.random.u64(..60_000));
        self.run_until(self.now + pause);
    }

    fn run_until(&mut self, end: Time) {
        loop {
            let wakeups = self.keepers.iter().map(|process| process.sleeps_until);
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
                for keeper in 0..KEEPERS {
                    if self.keepers[keeper].sleeps_until <= self.now {
                        self.settle(keeper);
                    }
                }
            }
            self.check();
        }
    }

    fn deliver(&mut self, message: Message) {
        match message {
            Message::ToServer { keeper, attempt } => {
                let mut handoffs = Vec::new();
                let reply = self.server.execute(self.now, &attempt, keeper, |handoff| {
                    handoffs.push(handoff);
                    true
                });
                self.post(Message::ToKeeper {
                    keeper,
                    event: Event::Done(attempt.id, Ok(reply)),
                });
                for handoff in handoffs {
                    let event = Event::Granted {
                        acquisition: handoff.owner.acquisition,
                        generation: handoff.owner.generation,
                        granted: handoff.granted,
                        since: self.now,
                        ttl: handoff.ttl,
                    };
                    self.post(Message::ToKeeper {
                        keeper: handoff.waiter,
                        event,
                    });
                }
            }
            Message::ToKeeper { keeper, event } => {
                self.keepers[keeper].keeper.on_event(self.now, event);
                self.settle(keeper);
            }
            Message::Command { keeper } => {
                self.take_command(keeper);
                self.settle(keeper);
            }
        }
    }

    /// Puts a message on the network: mostly delivered soon, sometimes late, never, or twice.
    fn post(&mut self, message: Message) {
        let (Message::ToServer { keeper, .. }
        | Message::ToKeeper { keeper, .. }
        | Message::Command { keeper }) = &message;
        if self.dark == Some(*keeper) {
            return;
        }
        let luck = self.random.u32(..100);
        if luck < self.weather.lost {
            // The sender may hear of a lost connection before its patience ends.
            if let (Message::ToServer { keeper, attempt }, true) = (&message, self.random.bool()) {
                let (keeper, event) = (
                    *keeper,
                    Event::Done(attempt.id, Err(broken(luck.is_multiple_of(2)))),
                );
                self.schedule(
                    Duration::from_millis(1),
                    Message::ToKeeper { keeper, event },
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

    /// The rest of a round of the I/O thread: looks at the time, sends what a keeper wants sent, and
    /// hears what it has to tell.
    fn settle(&mut self, keeper: usize) {
        self.keepers[keeper].keeper.on_time(self.now);
        let failures = self.keepers[keeper].queues.expire(self.now);
        self.fail(keeper, failures);
        self.check_offers(keeper);
        loop {
            let mut idle = true;
            while let Some((id, notice)) = self.keepers[keeper].keeper.next_notice() {
                self.hear(keeper, id, notice);
                idle = false;
            }
            while let Some(attempt) = self.keepers[keeper].keeper.next_attempt(self.now) {
                self.post(Message::ToServer { keeper, attempt });
                idle = false;
            }
            self.keepers[keeper].keeper.take_overdue();
            if idle {
                break;
            }
        }
        let process = &mut self.keepers[keeper];
        let deadline = process.queues.next_deadline(self.now);
        process.sleeps_until = process.keeper.wakeup().min(deadline);
    }

    /// At most one holder of each key within its validity.
    fn check(&self) {
        for key in KEYS {
            let holders = self.callers.values().filter(|caller| {
                let held = caller.held();
                held.is_some_and(|held| self.now < held.valid_until) && caller.key.as_str() == key
            });
            assert!(holders.count() <= 1, "two holders of {key}");
        }
        let asleep = self.callers.values().filter_map(Caller::held);
        for since in asleep.filter_map(|held| held.asleep_since) {
            let noticed = since + CLAIM_WINDOW + LONGEST_COMMAND;
            assert!(
                self.now <= noticed,
                "a lease is kept for a caller that does not look"
            );
        }
    }

    /// Everybody goes home, and the network is good: nothing is left as soon as they are there.
    pub(super) fn end_soon(&mut self) {
        self.finish_all();
        self.run_until(self.now + Duration::from_millis(30));
        assert!(self.server.is_idle());
    }

    /// Everybody goes home; nothing may be left.
    pub(super) fn end(&mut self) {
        self.dark = None;
        self.finish_all();
        self.run_until(self.now + timing::tombstone_life(TTL) * 3);
        for process in &mut self.keepers {
            assert!(process.inbox.is_empty());
            assert_eq!(process.keeper.unfinished(), 0);
            assert_eq!(process.keeper.wakeup(), Time::NEVER);
            assert!(process.queues.is_empty());
            assert!(
                process.extensions.is_empty(),
                "an extension without an answer"
            );
        }
        for key in KEYS {
            self.expect_free(Key::new(key).unwrap());
        }
    }

    /// The key is free, but for the places in the queue that nobody was able to give up: each of
    /// those costs one ttl.
    fn expect_free(&mut self, key: Key) {
        let id = AttemptId {
            acquisition: 0,
            number: 0,
        };
        let attempt = Attempt {
            id,
            key,
            owner: OwnerIds::from_bits([99; 16]).first(0),
            claim: Claim {
                ttl: TTL,
                tokens: 1,
            },
            label: Label::here(),
            op: Op::Acquire { ttl: TTL },
        };
        for _ in 0..=self.abandoned {
            let reply = self.server.execute(self.now, &attempt, KEEPERS, |_| true);
            if let Reply::Granted(_) = reply {
                return;
            }
            self.now = self.now + TTL;
        }
        panic!("left behind");
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
