//! Those who want keys, and what they are told.

use std::time::Duration;

use super::{
    CLAIM_WINDOW, Caller, CallerState, Extension, Holding, KEYS, LONGEST_COMMAND, Message,
    RESPONSE_TIMEOUT, TTL, Tenure, World,
};
use crate::clock::Time;
use crate::key::Key;
use crate::label::Label;
use crate::protocol::{Failures, Joined, Notice, Order, Released, Terms, Waiter};
use crate::spec::Wait;
use crate::{Error, timing};

/// What a caller asks of the I/O thread.
#[derive(Debug)]
pub(super) enum Command {
    Order(Order),
    Release {
        tenure: u64,
    },
    Extend {
        tenure: u64,
        number: u64,
        ttl: Duration,
    },
    Wake,
}

impl World {
    pub(super) fn acquire(&mut self, keeper: usize, id: u64) {
        let key = Key::new(KEYS[self.random.usize(..KEYS.len())]).unwrap();
        let wait = Duration::from_millis(self.random.u64(..2) * self.random.u64(..1500));
        let terms = Terms {
            key: key.clone(),
            ttl: [TTL, TTL / 2][usize::from(self.random.u32(..10) == 0)],
            wait: Wait::For(wait),
            renew: self.random.u32(..10) > 0,
            max_hold: (self.random.u32(..10) == 0).then_some(TTL * 3),
            label: Label::here(),
        };
        // Thrice the patience: for the attempt under way, for the one after a dead connection, and
        // for a try that waits for a release.
        let answer_by = self.now
            + wait
            + timing::patience(RESPONSE_TIMEOUT, TTL) * 3
            + LONGEST_COMMAND * 2
            + Duration::from_millis(1);
        let caller = Caller {
            key,
            answer_by,
            state: CallerState::Waiting,
            waiter: 0,
        };
        self.callers.insert((keeper, id), caller);
        let joined = self.keepers[keeper].queues.join(self.now, terms, id);
        let (waiter, order, wake) = match joined {
            Joined::Asking { waiter, order } => (waiter, Some(order), false),
            Joined::Behind {
                waiter,
                order,
                wake,
            } => (waiter, order, wake),
            Joined::Refused(_, error) => return self.refuse(keeper, id, &error),
        };
        self.callers.get_mut(&(keeper, id)).unwrap().waiter = waiter;
        match order {
            None if wake => self.send(keeper, id, Command::Wake),
            order => self.send_order(keeper, id, order),
        }
    }

    /// As a caller's thread does it.
    fn send(&mut self, keeper: usize, caller: u64, command: Command) {
        let inbox = &mut self.keepers[keeper].inbox;
        inbox.entry(caller).or_default().push_back(command);
        let delay = LONGEST_COMMAND.mul_f64(self.random.f64());
        self.schedule(delay, Message::Command { keeper });
    }

    fn send_order(&mut self, keeper: usize, caller: u64, order: Option<Order>) {
        if let Some(order) = order {
            self.send(keeper, caller, Command::Order(order));
        }
    }

    /// As the I/O thread does it, in whatever order the commands came from different threads.
    pub(super) fn take_command(&mut self, keeper: usize) {
        let process = &mut self.keepers[keeper];
        let place = self.random.usize(..process.inbox.len());
        let caller = *process.inbox.keys().nth(place).unwrap();
        let commands = process.inbox.get_mut(&caller).unwrap();
        let command = commands.pop_front().unwrap();
        if commands.is_empty() {
            process.inbox.remove(&caller);
        }
        match command {
            Command::Order(order) => {
                if process.queues.is_due(&order) {
                    self.follow(keeper, [order]);
                }
            }
            Command::Release { tenure } => process.keeper.release(self.now, tenure),
            Command::Extend {
                tenure,
                number,
                ttl,
            } => process.keeper.extend(self.now, tenure, number, ttl),
            Command::Wake => {}
        }
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
                        token: 0,
                    };
                    process.tenures.insert(id, tenure);
                    process.keeper.acquire(self.now, id, terms, tokens);
                }
                Order::Release { id } => process.keeper.release(self.now, id),
                Order::Refill { id, tokens } => process.keeper.refill(self.now, id, tokens),
            }
        }
    }

    pub(super) fn fail(&mut self, keeper: usize, failures: Failures<u64>) {
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
        held.token = token;
        let valid_until = held.valid_until;
        let asleep_since = (self.random.u32(..8) == 0).then_some(self.now);
        let caller = self.answer(keeper, waiter.caller);
        caller.state = CallerState::Holding(Holding {
            tenure,
            valid_until,
            asleep_since,
        });
        let key = caller.key.clone();
        let last = self.last_token.insert(key, token).unwrap_or(0);
        assert!(token > last, "token {token} after {last}");
        self.granted += 1;
    }

    /// What the queues made of a lease that has come.
    fn take_up(&mut self, keeper: usize, tenure: u64, released: Released<u64>) {
        match released {
            Released::Passed {
                waiter,
                token,
                order,
                ..
            } => {
                self.follow(keeper, order);
                self.deliver_lease(keeper, tenure, &waiter, token);
            }
            Released::Over { next } => {
                self.keepers[keeper].keeper.release(self.now, tenure);
                self.follow(keeper, next);
            }
        }
    }

    /// What they made of one whose holder is finished.
    fn hand_on(&mut self, keeper: usize, caller: u64, tenure: u64, released: Released<u64>) {
        if let Released::Passed { .. } = released {
            let mut extensions = self.keepers[keeper].extensions.values();
            let is_its = |extension: &Extension| extension.tenure == tenure;
            assert!(
                !extensions.any(is_its),
                "an extension came to the next holder"
            );
        }
        match released {
            Released::Passed {
                waiter,
                token,
                order,
                wake,
            } => {
                match order {
                    None if wake => self.send(keeper, caller, Command::Wake),
                    order => self.send_order(keeper, caller, order),
                }
                self.deliver_lease(keeper, tenure, &waiter, token);
                self.passed_on += 1;
            }
            Released::Over { next } => {
                self.send(keeper, caller, Command::Release { tenure });
                self.send_order(keeper, caller, next);
            }
        }
    }

    /// A body ends, or a future is dropped, at whatever point it has reached.
    pub(super) fn finish_somebody(&mut self) {
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
                let (_, order) = self.keepers[keeper].queues.leave(&key, waiter);
                self.send_order(keeper, id, order);
            }
            CallerState::Holding(Holding { tenure, .. }) => {
                let process = &mut self.keepers[keeper];
                let valid_until = match &process.tenures[&tenure] {
                    held if held.is_lost => Time::from_nanos(0),
                    held => held.valid_until,
                };
                let released = process.queues.released(self.now, &key, tenure, valid_until);
                self.hand_on(keeper, id, tenure, released);
            }
            CallerState::Finished => {}
        }
    }

    /// As a caller's thread does it: the queues hear of it at once, the I/O thread later.
    pub(super) fn extend_somebody(&mut self) {
        let holding = self.callers.iter().filter_map(|(who, caller)| {
            let held = caller.held()?;
            held.asleep_since.is_none().then_some((*who, held.tenure))
        });
        if let Some(((keeper, id), tenure)) = holding.min() {
            let ttl = TTL.mul_f64(0.5 + self.random.f64());
            let process = &mut self.keepers[keeper];
            let held = &process.tenures[&tenure];
            if process.queues.extended(&held.key, tenure, held.token) {
                self.extensions += 1;
                let number = self.extensions;
                let asked = Extension {
                    tenure,
                    ttl,
                    asked_at: self.now,
                };
                process.extensions.insert(number, asked);
                let command = Command::Extend {
                    tenure,
                    number,
                    ttl,
                };
                self.send(keeper, id, command);
            }
        }
    }

    /// As the I/O thread does it: takes back what was not taken up in time.
    pub(super) fn check_offers(&mut self, keeper: usize) {
        for (key, tenure) in self.keepers[keeper].queues.offers_due(self.now) {
            let process = &mut self.keepers[keeper];
            let Some(holder) = process.tenures[&tenure].holder else {
                continue;
            };
            let held = self.callers[&(keeper, holder)].held();
            let Some(since) = held.and_then(|held| held.asleep_since) else {
                continue;
            };
            if since + CLAIM_WINDOW > self.now {
                process.queues.check_offer(&key, tenure, since);
            } else {
                self.missed += 1;
                self.finish(keeper, holder);
            }
        }
    }

    pub(super) fn hear(&mut self, keeper: usize, id: u64, notice: Notice) {
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
                let adopted = queues
                    .adopt(&key, id)
                    .and_then(|terms| process.keeper.adopt(now, id, terms));
                self.adopted += u64::from(adopted.is_some());
                let valid_until = adopted.unwrap_or(valid_until);
                tenure.valid_until = valid_until;
                let released = queues.granted(now, &key, id, granted, valid_until);
                self.take_up(keeper, id, released);
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
                if let Some(CallerState::Holding(held)) = holder.map(|caller| &mut caller.state)
                    && held.tenure == id
                {
                    held.valid_until = valid_until;
                }
            }
            Notice::Waiting { ends_in } => {
                let (_, failures) = queues.held(now, &key, id, ends_in, |_| ());
                self.fail(keeper, failures);
            }
            Notice::Trouble(error) => queues.troubled(now, &key, id, error),
            Notice::Failed(error) => {
                let failures = queues.failed(&key, id, error);
                self.fail(keeper, failures);
            }
            Notice::Lost(_) => {
                tenure.is_lost = true;
                let holder = tenure.holder.filter(|holder| {
                    let held = self.callers[&(keeper, *holder)].held();
                    held.is_some_and(|held| held.tenure == id)
                });
                let order = queues.lost(&key, id);
                self.follow(keeper, order);
                if let Some(holder) = holder {
                    self.finish(keeper, holder);
                }
            }
            Notice::Extended { number, answer } => {
                let asked = process.extensions.remove(&number);
                let asked = asked.expect("each is answered once");
                assert_eq!(asked.tenure, id);
                if answer.is_ok() {
                    let promised = timing::validity_end(asked.asked_at, asked.ttl);
                    assert!(
                        tenure.valid_until >= promised,
                        "confirmed, and not extended"
                    );
                    self.extended += 1;
                }
            }
            Notice::ReleaseAbandoned => self.abandoned += 1,
            _ => {}
        }
    }

    pub(super) fn finish_all(&mut self) {
        let mut open: Vec<_> = self.callers.keys().copied().collect();
        open.sort_unstable();
        for (keeper, id) in open {
            self.finish(keeper, id);
        }
    }
}
