//! The servers and the processes.

mod checks;
mod disturbances;
mod network;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::client::Client;
use crate::backend::memory::Server;
use crate::backend::quorum::ballots::Ballots;
use crate::backend::quorum::desk::Effect;
use crate::backend::quorum::members::Members;
use crate::backend::{
    Attempt, AttemptId, BackendError, BackendErrorKind, Claim, Event, Failure, OwnerIds,
};
use crate::clock::Time;
use crate::key::Key;

pub(in super::super) const TTL: Duration = Duration::from_millis(500);
pub(super) const CLAIM: Claim = Claim {
    ttl: Duration::from_millis(200),
    tokens: 3,
};
const MEMBER_PATIENCE: Duration = Duration::from_millis(30);
const CLIENTS: usize = 4;
const KEYS: [&str; 2] = ["a", "b"];

/// How often something goes wrong, of a hundred steps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weather {
    /// A connection ends.
    pub(super) broken: u32,
    /// A server is slow for a while.
    pub(super) slow: u32,
    /// A server is away, and comes back without its data.
    pub(super) away: u32,
    /// A process is killed.
    pub(super) crashes: u32,
    /// The clock of a server is set, by which its tokens go.
    pub(super) steps: u32,
    /// How long a server that has lost its data is away. At once, it breaks its promises.
    pub(super) restart_delay: Option<Duration>,
}

struct Machine {
    server: Server<(usize, u32)>,
    /// How far its clock is ahead.
    ahead: Duration,
    slow_until: Time,
    away_until: Option<Time>,
}

enum Message {
    Request {
        from: (usize, u32),
        to: usize,
        sent_at: Time,
        attempt: Attempt,
        /// Its connection has ended: nobody hears the answer.
        is_loose: bool,
    },
    Answer {
        to: (usize, u32),
        from: usize,
        event: Event,
        clock: (Time, u64),
    },
    /// The sender learns that a request failed.
    Failed {
        to: (usize, u32),
        from: usize,
        id: AttemptId,
        maybe_executed: bool,
    },
}

pub(super) struct World {
    now: Time,
    random: fastrand::Rng,
    weather: Weather,
    machines: Vec<Machine>,
    /// With the number of the process that is in its place.
    clients: Vec<(u32, Client)>,
    network: BTreeMap<(Time, u64), Message>,
    messages: u64,
    /// The latest arrival by server and process: connections keep the order.
    arrivals: HashMap<(usize, usize, bool), Time>,
    last_token: HashMap<Key, u64>,
    holders: HashMap<Key, (usize, u64)>,
    pub(super) granted: u64,
    pub(super) handed_over: u64,
    pub(super) lost: u64,
    pub(super) restarts: u64,
    pub(super) overlaps: u64,
}

impl World {
    pub(super) fn new(seed: u64, servers: usize, weather: Weather) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let machine = |_| Machine {
            server: Server::new(random.u64(..5)),
            ahead: disturbances::ahead(&mut random),
            slow_until: Time::from_nanos(0),
            away_until: None,
        };
        let machines = (0..servers).map(machine).collect();
        let mut world = Self {
            now: Time::from_nanos(1_000_000_000),
            random,
            weather,
            machines,
            clients: Vec::new(),
            network: BTreeMap::new(),
            messages: 0,
            arrivals: HashMap::new(),
            last_token: HashMap::new(),
            holders: HashMap::new(),
            granted: 0,
            handed_over: 0,
            lost: 0,
            restarts: 0,
            overlaps: 0,
        };
        for place in 0..CLIENTS {
            let client = world.client(place, 0);
            world.clients.push((0, client));
        }
        world
    }

    fn client(&self, place: usize, generation: u32) -> Client {
        let number = u8::try_from(generation as usize * CLIENTS + place + 1).unwrap_or(u8::MAX);
        let names = (0..self.machines.len()).map(|n| n.to_string());
        let ids = OwnerIds::from_bits([number; 16]);
        Client::new(
            Ballots::new(Members::new(names), MEMBER_PATIENCE, ids),
            number,
        )
    }

    /// One random thing happens, and what follows from it for a while.
    pub(super) fn step(&mut self) {
        let place = self.random.usize(..CLIENTS);
        if self.random.u32(..10) < 5 {
            let key = Key::new(KEYS[self.random.usize(..KEYS.len())]).unwrap();
            let tries_once = self.random.u32(..5) == 0;
            let stays = Duration::from_micros(self.random.u64(..400_000));
            let stays = stays.mul_f64(self.random.f64());
            self.clients[place]
                .1
                .call(self.now, key, tries_once, self.now + stays * 3);
            self.settle(place);
        }
        self.disturb(place);
        let pause = Duration::from_micros(self.random.u64(..30_000));
        self.run_until(self.now + pause);
    }

    pub(super) fn run_until(&mut self, end: Time) {
        loop {
            let timers = self.clients.iter().map(|(_, client)| client.wakeup());
            let timer = timers.min().unwrap_or(Time::NEVER);
            let message = self.network.first_key_value().map(|((at, _), _)| *at);
            let message = message.unwrap_or(Time::NEVER);
            let next = timer.min(message);
            if next > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            self.come_back();
            if message <= timer {
                let (_, message) = self.network.pop_first().unwrap();
                self.deliver(message);
            } else {
                for place in 0..CLIENTS {
                    if self.clients[place].1.wakeup() <= self.now {
                        self.clients[place].1.on_time(self.now);
                        self.settle(place);
                    }
                }
            }
        }
    }

    fn deliver(&mut self, message: Message) {
        match message {
            Message::Request {
                from,
                to,
                sent_at,
                attempt,
                is_loose,
            } => {
                if self.machines[to].away_until.is_none() {
                    self.execute(from, to, sent_at, attempt, is_loose);
                }
            }
            Message::Answer {
                to: (place, generation),
                from,
                event,
                clock,
            } => {
                let client = &mut self.clients[place];
                if client.0 != generation {
                    return;
                }
                let ballots = &mut client.1.ballots;
                // Without a clock there is no proposal.
                let clock = Some(clock).filter(|_| self.random.u32(..4) > 0);
                ballots.desk.members.set_clock(from, clock);
                match event {
                    Event::Done(id, outcome) => ballots.on_outcome(self.now, from, id, outcome),
                    Event::HandedOver {
                        owner,
                        granted,
                        since,
                        ttl,
                    } => {
                        ballots.on_handoff(self.now, from, &owner, granted, (since, ttl));
                    }
                    Event::Reconnected | Event::Room => {}
                }
                self.settle(place);
            }
            Message::Failed {
                to: (place, generation),
                from,
                id,
                maybe_executed,
            } => {
                let client = &mut self.clients[place];
                if client.0 != generation {
                    return;
                }
                let error = BackendError::new(BackendErrorKind::Unreachable, "gone");
                let failure = if maybe_executed {
                    Failure::outcome_unknown(error)
                } else {
                    Failure::not_executed(error)
                };
                client
                    .1
                    .ballots
                    .on_outcome(self.now, from, id, Err(failure));
                self.settle(place);
            }
        }
    }

    fn execute(
        &mut self,
        from: (usize, u32),
        to: usize,
        sent_at: Time,
        mut attempt: Attempt,
        is_loose: bool,
    ) {
        let machine = &mut self.machines[to];
        let clock = self.now + machine.ahead;
        let micros = clock.as_nanos() / 1000;
        attempt.least_token = attempt.least_token.max(micros);
        let clients = &self.clients;
        let mut told = Vec::new();
        let reply = machine.server.execute(self.now, &attempt, from, |handoff| {
            let (place, generation) = handoff.waiter;
            let is_there = clients[place].0 == generation;
            told.extend(is_there.then_some(handoff));
            is_there
        });
        let clock = (sent_at, micros);
        if !is_loose {
            let event = Event::Done(attempt.id, Ok(reply));
            let answer = Message::Answer {
                to: from,
                from: to,
                event,
                clock,
            };
            self.send(from.0, to, false, answer);
        }
        for handoff in told {
            let event = Event::HandedOver {
                owner: handoff.owner,
                granted: handoff.granted,
                since: self.now,
                ttl: handoff.ttl,
            };
            let answer = Message::Answer {
                to: handoff.waiter,
                from: to,
                event,
                clock,
            };
            self.send(handoff.waiter.0, to, false, answer);
        }
    }

    /// Does what a process wants to be done, and looks at what it holds then.
    fn settle(&mut self, place: usize) {
        self.clients[place].1.on_time(self.now);
        while let Some(effect) = self.clients[place].1.ballots.next_effect() {
            match effect {
                Effect::Submit(to, attempt) => self.request(place, to, attempt),
                Effect::Overdue(..) => {}
                Effect::Tell(event) => {
                    self.clients[place].1.on_event(self.now, event);
                    self.clients[place].1.on_time(self.now);
                }
            }
        }
        self.check(place);
    }

    fn request(&mut self, place: usize, to: usize, attempt: Attempt) {
        let from = (place, self.clients[place].0);
        if self.machines[to].away_until.is_some() && self.random.bool() {
            // The others get no answer at all.
            let id = attempt.id;
            let message = Message::Failed {
                to: from,
                from: to,
                id,
                maybe_executed: false,
            };
            return self.post(Duration::from_micros(100), message);
        }
        let message = Message::Request {
            from,
            to,
            sent_at: self.now,
            attempt,
            is_loose: false,
        };
        self.send(place, to, true, message);
    }
}
