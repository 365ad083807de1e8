//! The memory backend, with one flaw.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::{LazyLock, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::backend::memory::MemoryBackend;
use crate::backend::{
    Attempt, AttemptId, Backend, Capabilities, Event, Granted, IfHeld, Inspector, Op, OwnerId,
    OwnerIds, Reply, Time,
};
use crate::key::Key;
use crate::mode::Mode;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    LetsTwoIn,
    LetsTwoInAtOnce,
    NeverEnds,
    EndsEarly,
    RenewalDoesNothing,
    RenewalRevives,
    StrangersRelease,
    StrangersRenew,
    TokensRepeat,
    ReservedTokensRepeat,
    TokensAnew,
    NoTombstones,
    LastComesFirst,
    EndsTwice,
    ForgetsOverdueAttempts,
    TellsAnother,
    HidesWaiters,
    DatesTooLate,
    ClaimsTooLong,
    PlaceIsLost,
    RefusedWait,
    WaitersNeverLeave,
    NewcomersOvertake,
    GoneWaitersStay,
    TellsLastWaitersFirst,
    ForgetsToCount,
    ReadersAreAlone,
    WritersReadToo,
    WritersNeverLeave,
    OnePermitTooMany,
    WeightsAreForgotten,
    NumbersDiffer,
    SharesLiveOn,
    MinHoldIsForgotten,
    PoolsMeetTwo,
    PoolsLeaveLocks,
}
use Flaw::*;

/// The owner that was granted each key last, in all processes of a test.
static HOLDERS: LazyLock<Mutex<HashMap<Key, OwnerId>>> = LazyLock::new(Mutex::default);

pub(super) struct Flawed {
    memory: MemoryBackend,
    flaw: Flaw,
    owners: OwnerIds,
    taken: Vec<Attempt>,
    asked: HashMap<AttemptId, Attempt>,
    /// Counts attempts of its own, whose outcomes are dropped.
    hidden: u64,
    made_up: VecDeque<Event>,
    tokens_told: u64,
    last_waiter: Option<OwnerId>,
}

impl Flawed {
    pub(super) fn new(name: &str, flaw: Flaw, owners: OwnerIds) -> Self {
        Self {
            memory: MemoryBackend::named(name),
            flaw,
            owners,
            taken: Vec::new(),
            asked: HashMap::new(),
            hidden: u64::MAX,
            made_up: VecDeque::new(),
            tokens_told: 0,
            last_waiter: None,
        }
    }

    /// Executes something that was not asked for.
    fn do_also(&mut self, attempt: &Attempt, op: Op) {
        self.hidden -= 1;
        let id = AttemptId {
            number: self.hidden,
            ..attempt.id
        };
        let also = Attempt {
            id,
            op,
            ..attempt.clone()
        };
        self.memory.submit(also);
    }

    fn make_up(&mut self, attempt: &Attempt, reply: Reply) {
        self.made_up.push_back(Event::Done(attempt.id, Ok(reply)));
    }

    fn execute(&mut self, mut attempt: Attempt) {
        self.asked.insert(attempt.id, attempt.clone());
        let leave = Op::Release {
            leave_queue: true,
            tombstone: None,
            keep: None,
        };
        match (self.flaw, &mut attempt.mode) {
            (ReadersAreAlone, mode) => *mode = Mode::Exclusive,
            (WritersReadToo, mode) => *mode = Mode::Shared,
            (OnePermitTooMany, Mode::Permits { permits, .. }) => *permits += 1,
            (WeightsAreForgotten, Mode::Permits { weight, .. }) => *weight = 1,
            (NumbersDiffer, Mode::Permits { permits, .. }) => *permits = 2,
            _ => {}
        }
        match (self.flaw, &mut attempt.op) {
            (LetsTwoIn | LetsTwoInAtOnce | PoolsMeetTwo, _) => {
                // Each process has its own lock.
                let key = format!("{}:{}", attempt.key, self.owners.prefix());
                attempt.key = Key::new(key).unwrap();
            }
            (NeverEnds | SharesLiveOn, Op::Acquire { ttl, .. }) => *ttl *= 1000,
            (EndsEarly, Op::Acquire { ttl, .. }) => *ttl /= 3,
            (RenewalDoesNothing, Op::Renew { .. }) => {
                return self.make_up(&attempt, Reply::Renewed { contended: false });
            }
            (RenewalRevives, Op::Renew { ttl }) => {
                attempt.op = Op::Acquire {
                    ttl: *ttl,
                    if_held: IfHeld::Refuse,
                };
            }
            (StrangersRelease, Op::Release { .. }) => {
                let holder = HOLDERS.lock().unwrap().get(&attempt.key).cloned();
                attempt.owner = holder.unwrap_or(attempt.owner);
            }
            (NoTombstones, Op::Release { tombstone, .. }) => *tombstone = None,
            (ForgetsOverdueAttempts, Op::Release { .. })
            | (PoolsLeaveLocks, Op::Release { .. }) => {
                return self.make_up(&attempt, Reply::Released);
            }
            (PlaceIsLost, Op::Acquire { .. }) => self.do_also(&attempt, leave),
            (RefusedWait, Op::Acquire { if_held, .. }) => *if_held = IfHeld::Queue,
            (WaitersNeverLeave | WritersNeverLeave, Op::Release { leave_queue, .. }) => {
                *leave_queue = false;
            }
            (MinHoldIsForgotten, Op::Release { keep, .. }) => *keep = None,
            (NewcomersOvertake, Op::Acquire { .. }) => {
                // The last waiter loses its place.
                if let Some(waiter) = self.last_waiter.take() {
                    let of_waiter = Attempt {
                        owner: waiter,
                        ..attempt.clone()
                    };
                    self.do_also(&of_waiter, leave);
                }
                self.last_waiter = Some(attempt.owner.clone());
            }
            (GoneWaitersStay, _) => attempt.claim.ttl *= 1000,
            (TellsAnother, Op::Acquire { .. }) => self.last_waiter = Some(attempt.owner.clone()),
            _ => {}
        }
        self.memory.submit(attempt);
    }

    fn tamper_with_tokens(&mut self, granted: &mut Granted) {
        match self.flaw {
            TokensRepeat => granted.tokens = 1..6,
            TokensAnew => {
                self.tokens_told += 10;
                granted.tokens.start += self.tokens_told;
                granted.tokens.end += self.tokens_told;
            }
            _ => {}
        }
    }

    fn tamper(&mut self, id: AttemptId, reply: Reply) -> Reply {
        let asked = self.asked.get(&id).cloned();
        match (self.flaw, reply) {
            (_, Reply::Granted(mut granted)) => {
                let asked = asked.expect("it was asked for");
                if matches!(asked.op, Op::Renew { .. }) {
                    return Reply::Renewed { contended: false };
                }
                let mut holders = HOLDERS.lock().unwrap();
                holders.insert(asked.key, asked.owner);
                self.tamper_with_tokens(&mut granted);
                Reply::Granted(granted)
            }
            (RenewalRevives, Reply::Held { .. })
                if asked.is_some_and(|asked| matches!(asked.op, Op::Renew { .. })) =>
            {
                Reply::Gone
            }
            (ReservedTokensRepeat, Reply::Reserved(mut granted)) => {
                granted.tokens = 1..4;
                Reply::Reserved(granted)
            }
            (StrangersRenew, Reply::Gone) | (HidesWaiters, Reply::Renewed { .. }) => {
                Reply::Renewed { contended: false }
            }
            (_, reply) => reply,
        }
    }
}

impl Backend for Flawed {
    fn capabilities(&self) -> Capabilities {
        self.memory.capabilities()
    }

    fn inspector(&self) -> Option<Inspector> {
        let (flaw, memory) = (self.flaw, self.memory.inspector()?);
        Some(Box::new(move |inspection| {
            let answer = memory(inspection);
            Box::pin(async move {
                let mut answer = answer.await?;
                if let Some(queue) = &mut answer.queue {
                    match flaw {
                        TellsLastWaitersFirst => queue.waiters.reverse(),
                        ForgetsToCount => queue.more = 0,
                        _ => {}
                    }
                }
                Ok(answer)
            })
        }))
    }

    fn submit(&mut self, attempt: Attempt) {
        if self.flaw == LastComesFirst {
            self.taken.push(attempt);
        } else {
            self.execute(attempt);
        }
    }

    fn flush(&mut self) {
        while let Some(attempt) = self.taken.pop() {
            self.execute(attempt);
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            if let Some(event) = self.made_up.pop_front() {
                return Poll::Ready(event);
            }
            let Poll::Ready(event) = self.memory.poll_event(cx) else {
                return Poll::Pending;
            };
            match event {
                Event::Done(id, _) if id.number >= self.hidden => {}
                Event::Done(id, outcome) => {
                    let outcome = outcome.map(|reply| self.tamper(id, reply));
                    if self.flaw == EndsTwice {
                        let again = Event::Done(id, outcome.clone());
                        self.made_up.push_back(again);
                    }
                    return Poll::Ready(Event::Done(id, outcome));
                }
                Event::HandedOver {
                    mut owner,
                    mut granted,
                    mut since,
                    mut ttl,
                } => {
                    match self.flaw {
                        TellsAnother => owner = self.last_waiter.clone().unwrap_or(owner),
                        DatesTooLate => since = Time::now() + Duration::from_secs(60),
                        ClaimsTooLong => ttl *= 2,
                        _ => {}
                    }
                    self.tamper_with_tokens(&mut granted);
                    return Poll::Ready(Event::HandedOver {
                        owner,
                        granted,
                        since,
                        ttl,
                    });
                }
                event => return Poll::Ready(event),
            }
        }
    }
}

impl Drop for Flawed {
    /// A process that is gone looks as if it still existed.
    fn drop(&mut self) {
        if self.flaw == GoneWaitersStay {
            let there = mem::replace(&mut self.memory, MemoryBackend::private());
            mem::forget(there);
        }
    }
}
