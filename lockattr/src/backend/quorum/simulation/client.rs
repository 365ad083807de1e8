//! A process that asks for leases as a pool does.

use std::time::Duration;

use super::world::{CLAIM, TTL};
use crate::backend::quorum::ballots::Ballots;
use crate::backend::{
    Attempt, AttemptId, Event, Granted, IfHeld, LeaseId, Op, OwnerId, OwnerIds, Reply,
};
use crate::clock::Time;
use crate::key::Key;
use crate::label::Label;
use crate::mode::Mode;
use crate::timing;

/// Longer than a ballot lets one answer take.
const PATIENCE: Duration = Duration::from_millis(200);
const RECHECK: Duration = Duration::from_millis(300);

#[derive(Clone, Hash)]
pub(in super::super) struct Client {
    pub(in super::super) ballots: Ballots,
    owners: OwnerIds,
    leases: u64,
    numbers: u64,
    pub(in super::super) calls: Vec<Call>,
    /// Grants by a handoff.
    pub(in super::super) handed_over: u64,
    /// Leases that ended under their holder.
    pub(in super::super) lost: u64,
}

/// One lease, from the first attempt to the release.
#[derive(Debug, Clone, Hash)]
pub(in super::super) struct Call {
    pub(in super::super) key: Key,
    owner: OwnerId,
    pub(in super::super) state: State,
    asked: Option<Asked>,
    send_at: Time,
    /// Whether an acquire may still be on its way.
    uncertain: bool,
    tries_once: bool,
    /// When the body ends, or the caller gives up.
    pub(in super::super) done_at: Time,
}

#[derive(Debug, Clone, Copy, Hash)]
struct Asked {
    id: AttemptId,
    sent_at: Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(in super::super) enum State {
    Asking,
    Holding { token: u64, valid_until: Time },
    Releasing,
    Done,
}

impl Client {
    pub(in super::super) fn new(ballots: Ballots, number: u8) -> Self {
        Self {
            ballots,
            owners: OwnerIds::from_bits([number; 16]),
            leases: 0,
            numbers: 0,
            calls: Vec::new(),
            handed_over: 0,
            lost: 0,
        }
    }

    pub(in super::super) fn call(&mut self, now: Time, key: Key, tries_once: bool, done_at: Time) {
        // A pool has one lease for a key.
        if self
            .calls
            .iter()
            .any(|call| call.key == key && call.state != State::Done)
        {
            return;
        }
        self.leases += 1;
        self.calls.push(Call {
            key,
            owner: self.owners.first(LeaseId(self.leases)),
            state: State::Asking,
            asked: None,
            send_at: now,
            uncertain: false,
            tries_once,
            done_at,
        });
    }

    pub(in super::super) fn wakeup(&self) -> Time {
        let of_call = |call: &Call| {
            let sends = match call.asked {
                Some(asked) => asked.sent_at + PATIENCE,
                None => call.send_at,
            };
            let ends = match call.state {
                State::Asking => call.done_at,
                State::Holding { valid_until, .. } => call.done_at.min(valid_until),
                State::Releasing | State::Done => Time::NEVER,
            };
            sends.min(ends)
        };
        let open = self.calls.iter().filter(|call| call.state != State::Done);
        let calls = open.map(of_call).min().unwrap_or(Time::NEVER);
        calls.min(self.ballots.wakeup().unwrap_or(Time::NEVER))
    }

    /// Acts on the time.
    pub(in super::super) fn on_time(&mut self, now: Time) {
        self.ballots.on_time(now);
        for call in &mut self.calls {
            if let Some(asked) = call.asked.take_if(|it| it.sent_at + PATIENCE <= now) {
                self.ballots.overdue(asked.id);
                call.uncertain |= call.state == State::Asking;
                call.send_at = now;
            }
            match call.state {
                State::Asking if call.done_at <= now => call.release(now),
                State::Holding { valid_until, .. } if valid_until.min(call.done_at) <= now => {
                    self.lost += u64::from(valid_until <= now && call.done_at > now);
                    call.release(now);
                }
                _ => {}
            }
            if call.state != State::Done && call.asked.is_none() && call.send_at <= now {
                self.numbers += 1;
                let attempt = call.attempt(self.numbers);
                call.asked = Some(Asked {
                    id: attempt.id,
                    sent_at: now,
                });
                call.send_at = Time::NEVER;
                self.ballots.submit(now, &attempt);
            }
        }
        self.calls.retain(|call| call.state != State::Done);
    }

    pub(in super::super) fn on_event(&mut self, now: Time, event: Event) {
        match event {
            Event::Done(id, outcome) => {
                let is_its = |call: &&mut Call| call.asked.is_some_and(|asked| asked.id == id);
                let Some(call) = self.calls.iter_mut().find(is_its) else {
                    return;
                };
                let Some(asked) = call.asked.take() else {
                    return;
                };
                match outcome {
                    Ok(reply) => call.on_reply(now, asked.sent_at, reply),
                    Err(failure) => {
                        call.uncertain |= failure.maybe_executed && call.state == State::Asking;
                        call.send_at = now + Duration::from_millis(10);
                    }
                }
            }
            Event::HandedOver {
                owner,
                granted,
                since,
                ttl,
            } => {
                let is_its = |call: &&mut Call| call.owner == owner && call.state == State::Asking;
                if let Some(call) = self.calls.iter_mut().find(is_its) {
                    call.uncertain |= call.asked.take().is_some();
                    call.on_granted(now, &granted, since, ttl);
                    self.handed_over += u64::from(call.state != State::Releasing);
                }
            }
            Event::Reconnected | Event::Room => {}
        }
    }
}

impl Call {
    fn attempt(&self, number: u64) -> Attempt {
        let op = match self.state {
            State::Asking => Op::Acquire {
                ttl: TTL,
                if_held: if self.tries_once {
                    IfHeld::Refuse
                } else {
                    IfHeld::Queue
                },
            },
            State::Holding { token, .. } if token % 5 == 0 && number.is_multiple_of(3) => {
                Op::Reserve { tokens: 2 }
            }
            State::Holding { .. } => Op::Renew { ttl: TTL },
            State::Releasing | State::Done => Op::Release {
                leave_queue: true,
                tombstone: self.uncertain.then(|| timing::tombstone_life(TTL)),
                keep: None,
            },
        };
        Attempt {
            id: AttemptId {
                lease: self.owner.lease,
                number,
            },
            key: self.key.clone(),
            owner: self.owner.clone(),
            claim: CLAIM,
            label: Label::here(),
            op,
            confirmation: None,
            mode: Mode::Exclusive,
            least_token: 0,
        }
    }

    fn release(&mut self, now: Time) {
        self.asked = None;
        self.state = State::Releasing;
        self.send_at = now;
    }

    fn on_granted(&mut self, now: Time, granted: &Granted, since: Time, ttl: Duration) {
        let valid_until = timing::validity_end(since, ttl);
        if timing::worth_having(valid_until, now, ttl) {
            self.state = State::Holding {
                token: granted.tokens.start,
                valid_until,
            };
            // A claim is confirmed at once.
            self.send_at = if ttl < TTL {
                now
            } else {
                timing::renewal_due(since, ttl)
            };
        } else {
            self.release(now);
        }
    }

    fn on_reply(&mut self, now: Time, sent_at: Time, reply: Reply) {
        match (self.state, reply) {
            (State::Asking, Reply::Granted(granted)) => {
                self.on_granted(now, &granted, sent_at, TTL);
            }
            (State::Asking, Reply::Held { .. }) if self.tries_once => self.state = State::Done,
            (State::Asking, Reply::Held { ends_in, .. }) => {
                let ends_in = ends_in.saturating_add(Duration::from_millis(1));
                self.send_at = now + ends_in.min(RECHECK);
            }
            (State::Asking, Reply::Tombstoned) => panic!("a tombstone before the release"),
            (State::Holding { token, valid_until }, Reply::Renewed { .. }) => {
                let valid_until = valid_until.max(timing::validity_end(sent_at, TTL));
                self.state = State::Holding { token, valid_until };
                self.send_at = timing::renewal_due(sent_at, TTL);
            }
            (State::Holding { valid_until, .. }, Reply::Reserved(granted)) => {
                // As if the next one in the process had it.
                self.state = State::Holding {
                    token: granted.tokens.start,
                    valid_until,
                };
                self.send_at = now;
            }
            (State::Holding { .. }, Reply::Gone) => self.release(now),
            (State::Releasing, Reply::Released) => self.state = State::Done,
            (state, reply) => panic!("{reply:?} to a call that is {state:?}"),
        }
    }
}
