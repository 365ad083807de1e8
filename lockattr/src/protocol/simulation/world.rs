//! Several keepers, one server, and a network that delays, loses and reorders.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::super::{
    Batch, Failures, Joined, Keeper, Limits, LocalQueues, Notice, Order, Released, Terms, Waiter,
};
use crate::backend::memory::Server;
use crate::backend::{
    Attempt, AttemptId, BackendError, BackendErrorKind, Claim, Event, Failure, Op, Reply,
};
use crate::clock::Time;
use crate::key::Key;
use crate::label::Label;
use crate::owner::OwnerIds;
use crate::spec::Wait;
use crate::{Error, timing};

const TTL: Duration = Duration::from_secs(1);
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(100);
const CLAIM_WINDOW: Duration = Duration::from_millis(500);
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
    ToServer { keeper: usize, attempt: Attempt },
    ToKeeper { keeper: usize, event: Event },
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
    Holding { tenure: u64, valid_until: Time },
    Finished,
}

/// One process of the fleet.
struct Process {
    keeper: Keeper,
    queues: LocalQueues<u64>,
    tenures: HashMap<u64, Tenure>,
}

/// What a process has of the server, or asks for.
struct Tenure {
    key: Key,
    valid_until: Time,
    is_lost: bool,
    holder: Option<u64>,
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
    pub(super) cancelled: u64,
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
            cancelled: 0,
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

    fn acquire(&mut self, keeper: usize, id: u64) {
        let key = Key::new(KEYS[self.random.usize(..KEYS.len())]).unwrap();
        let wait = Duration::from_millis(self.random.u64(..2) * self.random.u64(..1500));
        let terms = Terms {
            key: key.clone(),
            ttl: TTL,
            wait: Wait::For(wait),
            renew: self.random.u32(..10) > 0,
            max_hold: (self.random.u32(..10) == 0).then_some(TTL * 3),
            label: Label::here(),
        };
        // Twice the patience: for the attempt under way, and for a try that waits for a release.
        let answer_by = self.now
            + wait
            + timing::patience(RESPONSE_TIMEOUT, TTL) * 2
            + Duration::from_millis(1);
        let caller = Caller {
            key,
            answer_by,
            state: CallerState::Waiting,
            waiter: 0,
        };
        self.callers.insert((keeper, id), caller);
        let joined = self.keepers[keeper].queues.join(self.now, terms, id);
        let (waiter, order) = match joined {
            Joined::Asking { waiter, order } => (waiter, Some(order)),
            Joined::Behind { waiter, order, .. } => (waiter, order),
            Joined::Refused(_, error) => return self.refuse(keeper, id, &error),
        };
        self.callers.get_mut(&(keeper, id)).unwrap().waiter = waiter;
        self.follow(keeper, order);
        self.settle(keeper);
    }

    fn follow(&mut self, keeper: usize, orders: impl IntoIterator<Item = Order>) {
        let process = &mut self.keepers[keeper];
        for order in orders {
            match order {
                Order::Ask { id, terms, tokens } => {
                    let tenure = Tenure {
                        key: terms.key.clone(),
                        valid_until: self.now,
                        is_lost: false,
                        holder: None,
                    };
                    process.tenures.insert(id, tenure);
                    process.keeper.acquire(self.now, id, terms, tokens);
                }
                Order::Release { id } => process.keeper.release(self.now, id),
                Order::Refill { id, tokens } => process.keeper.refill(self.now, id, tokens),
            }
        }
    }

    fn fail(&mut self, keeper: usize, failures: Failures<u64>) {
        for (waiter, error) in failures.callers {
            self.refuse(keeper, waiter.caller, &error);
        }
        self.follow(keeper, failures.orders);
    }

    fn refuse(&mut self, keeper: usize, id: u64, error: &Error) {
        assert!(
            matches!(error, Error::Busy { .. } | Error::Backend { .. }),
            "{error}"
        );
        self.answer(keeper, id).state = CallerState::Finished;
    }

    /// The caller is told what becomes of its wish.
    fn answer(&mut self, keeper: usize, id: u64) -> &mut Caller {
        let caller = self.callers.get_mut(&(keeper, id)).unwrap();
        assert_eq!(
            caller.state,
            CallerState::Waiting,
            "answered once, and nobody who is gone"
        );
        let late = self.now.since(caller.answer_by);
        assert!(late.is_zero(), "answered late by {late:?}");
        caller
    }

    fn deliver_lease(&mut self, keeper: usize, tenure: u64, waiter: &Waiter<u64>, token: u64) {
        let held = self.keepers[keeper].tenures.get_mut(&tenure).unwrap();
        held.holder = Some(waiter.caller);
        let valid_until = held.valid_until;
        let caller = self.answer(keeper, waiter.caller);
        caller.state = CallerState::Holding {
            tenure,
            valid_until,
        };
        let key = caller.key.clone();
        let last = self.last_token.insert(key, token).unwrap_or(0);
        assert!(token > last, "token {token} after {last}");
        self.granted += 1;
    }

    /// What the queues made of a lease that has come, or is not needed any longer.
    fn hand_on(&mut self, keeper: usize, tenure: u64, released: Released<u64>) -> bool {
        match released {
            Released::Passed {
                waiter,
                token,
                order,
            } => {
                self.follow(keeper, order);
                self.deliver_lease(keeper, tenure, &waiter, token);
                true
            }
            Released::Over { next } => {
                self.keepers[keeper].keeper.release(self.now, tenure);
                self.follow(keeper, next);
                false
            }
        }
    }

    /// A body ends, or a future is dropped, at whatever point it has reached.
    fn finish_somebody(&mut self) {
        let mut open: Vec<_> = self
            .callers
            .iter()
            .filter(|(_, caller)| caller.state != CallerState::Finished)
            .map(|(who, _)| *who)
            .collect();
        open.sort_unstable();
        if open.is_empty() {
            return;
        }
        let (keeper, id) = open[self.random.usize(..open.len())];
        self.finish(keeper, id);
    }

    fn finish(&mut self, keeper: usize, id: u64) {
        let caller = self.callers.get_mut(&(keeper, id)).unwrap();
        let (key, waiter) = (caller.key.clone(), caller.waiter);
        match std::mem::replace(&mut caller.state, CallerState::Finished) {
            CallerState::Waiting => {
                self.cancelled += 1;
                let order = self.keepers[keeper].queues.leave(&key, waiter);
                self.follow(keeper, order);
            }
            CallerState::Holding { tenure, .. } => {
                let process = &mut self.keepers[keeper];
                let valid_until = match &process.tenures[&tenure] {
                    held if held.is_lost => Time::from_nanos(0),
                    held => held.valid_until,
                };
                let released = process.queues.released(self.now, &key, tenure, valid_until);
                self.passed_on += u64::from(self.hand_on(keeper, tenure, released));
            }
            CallerState::Finished => return,
        }
        self.settle(keeper);
    }

    fn extend_somebody(&mut self) {
        let mut holding: Vec<_> = self
            .callers
            .iter()
            .filter_map(|((keeper, _), caller)| match caller.state {
                CallerState::Holding { tenure, .. } => Some((*keeper, tenure, caller.key.clone())),
                _ => None,
            })
            .collect();
        holding.sort_unstable_by_key(|(keeper, tenure, _)| (*keeper, *tenure));
        if let Some((keeper, tenure, key)) = holding.into_iter().next() {
            let ttl = TTL.mul_f64(0.5 + self.random.f64());
            self.keepers[keeper].queues.extended(&key, tenure);
            self.keepers[keeper].keeper.extend(self.now, tenure, ttl);
            self.settle(keeper);
        }
    }

    fn run_until(&mut self, end: Time) {
        loop {
            let now = self.now;
            let wakeups = self.keepers.iter_mut().map(|process| {
                let deadline = process.queues.next_deadline(now);
                process.keeper.wakeup().min(deadline)
            });
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
                    self.keepers[keeper].keeper.on_time(self.now);
                    let failures = self.keepers[keeper].queues.expire(self.now);
                    self.fail(keeper, failures);
                    self.settle(keeper);
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
        }
    }

    /// Puts a message on the network: mostly delivered soon, sometimes late, never, or twice.
    fn post(&mut self, message: Message) {
        let (Message::ToServer { keeper, .. } | Message::ToKeeper { keeper, .. }) = &message;
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

    /// Sends what a keeper wants sent, and hears what it has to tell.
    fn settle(&mut self, keeper: usize) {
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
                return;
            }
        }
    }

    fn hear(&mut self, keeper: usize, id: u64, notice: Notice) {
        let now = self.now;
        let process = &mut self.keepers[keeper];
        let queues = &mut process.queues;
        let tenure = process.tenures.get_mut(&id).unwrap();
        let key = tenure.key.clone();
        match notice {
            Notice::Acquired {
                granted,
                valid_until,
            } => {
                tenure.valid_until = valid_until;
                let released = queues.granted(now, &key, id, granted, valid_until);
                self.hand_on(keeper, id, released);
            }
            Notice::Renewed {
                granted,
                valid_until,
            } => {
                assert!(
                    valid_until >= tenure.valid_until,
                    "a renewal never shortens"
                );
                tenure.valid_until = valid_until;
                queues.renewed(now, &key, id, granted, valid_until);
                let holder = tenure
                    .holder
                    .and_then(|holder| self.callers.get_mut(&(keeper, holder)));
                if let Some(CallerState::Holding {
                    tenure,
                    valid_until: known,
                }) = holder.map(|caller| &mut caller.state)
                    && *tenure == id
                {
                    *known = valid_until;
                }
            }
            Notice::Waiting { ends_in } => {
                let (_, failures) = queues.held(now, &key, id, ends_in);
                self.fail(keeper, failures);
            }
            Notice::Trouble(error) => {
                let failures = queues.troubled(now, &key, id, error);
                self.fail(keeper, failures);
            }
            Notice::Failed(error) => {
                let failures = queues.failed(&key, id, error);
                self.fail(keeper, failures);
            }
            Notice::Lost(_) => {
                tenure.is_lost = true;
                let holder = tenure.holder.filter(|holder| {
                    let state = &self.callers[&(keeper, *holder)].state;
                    matches!(state, CallerState::Holding { tenure, .. } if *tenure == id)
                });
                let order = queues.lost(&key, id);
                self.follow(keeper, order);
                if let Some(holder) = holder {
                    self.finish(keeper, holder);
                }
            }
            Notice::ReleaseAbandoned => self.abandoned += 1,
            _ => {}
        }
    }

    /// At most one holder of each key within its validity.
    fn check(&self) {
        for key in KEYS {
            let holders = self.callers.values().filter(|caller| {
                let held = matches!(caller.state, CallerState::Holding { valid_until, .. } if self.now < valid_until);
                held && caller.key.as_str() == key
            });
            assert!(holders.count() <= 1, "two holders of {key}");
        }
    }

    fn finish_all(&mut self) {
        let mut open: Vec<_> = self.callers.keys().copied().collect();
        open.sort_unstable();
        for (keeper, id) in open {
            self.finish(keeper, id);
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
            assert_eq!(process.keeper.unfinished(), 0);
            assert_eq!(process.keeper.wakeup(), Time::NEVER);
            assert!(process.queues.is_empty());
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
