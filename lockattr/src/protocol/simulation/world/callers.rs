//! Callers of the fleet, and what their processes do for them.

use std::time::Duration;

use super::{
    CLAIM_WINDOW, Call, CallState, Extension, Holding, KEYS, LONGEST_WAKE, Message, PERMITS,
    RESPONSE_TIMEOUT, Request, TTL, Tenure, WITHIN, World,
};
use crate::backend::{Confirmation, LeaseId};
use crate::key::Key;
use crate::label::Label;
use crate::mode::Mode;
use crate::protocol::{Caller, Effect, LineName, Notice, Queued, Released, Terms, Waiter};
use crate::spec::Wait;
use crate::{Error, timing};

/// A call, by its number.
#[derive(Debug)]
pub(super) struct Numbered(u64);

impl Caller for Numbered {
    type Trace = ();

    fn trace(&self) {}
}

impl World {
    pub(super) fn acquire(&mut self, process: usize, id: u64) {
        let key = Key::new(KEYS[self.random.usize(..KEYS.len())]).unwrap();
        let wait = Duration::from_millis(self.random.u64(..2) * self.random.u64(..1500));
        let asks = self.weather.unconfirmed > 0 && self.random.bool();
        let confirmation = asks.then_some(Confirmation {
            replicas: 1,
            fsync: false,
            within: WITHIN,
        });
        let mode = self.mode(&key);
        let terms = Terms {
            key: key.clone(),
            ttl: [TTL, TTL / 2][usize::from(self.random.u32(..10) == 0)],
            wait: Wait::For(wait),
            renew: self.random.u32(..10) > 0,
            max_hold: (self.random.u32(..10) == 0).then_some(TTL * 3),
            label: Label::here(),
            confirmation,
            mode,
            min_hold: (self.weather.keeps && self.random.u32(..10) == 0).then_some(TTL / 2),
        };
        // Three times the patience: for the attempt under way, for the attempt after a dead
        // connection, and for an attempt that waits for a release.
        let answer_by = self.now
            + wait
            + terms.patience(RESPONSE_TIMEOUT) * 3
            + LONGEST_WAKE * 2
            + Duration::from_millis(1);
        let call = Call {
            key,
            mode,
            answer_by,
            asks,
            state: CallState::Waiting,
            waiter: None,
        };
        self.calls.insert((process, id), call);
        let asked = terms.clone();
        let coordinator = &mut self.processes[process].coordinator;
        match coordinator.acquire(self.now, terms.into(), Numbered(id)) {
            Queued::Waiting { waiter, .. } => {
                let line = LineName::of(&asked, waiter);
                self.calls.get_mut(&(process, id)).unwrap().waiter = Some((waiter, line));
            }
            Queued::Refused(_, error) => self.refuse(process, id, &error),
        }
        self.wake(process);
    }

    /// One key has readers and writers, the other has permits.
    fn mode(&mut self, key: &Key) -> Mode {
        if !self.weather.modes {
            return Mode::Exclusive;
        }
        if key.as_str() == KEYS[0] {
            return [Mode::Exclusive, Mode::Shared][usize::from(self.random.u32(..3) > 0)];
        }
        Mode::Permits {
            permits: PERMITS,
            weight: 1 + u32::from(self.random.u32(..4) == 0),
        }
    }

    /// As a caller's thread does it: the I/O thread runs a little later.
    fn wake(&mut self, process: usize) {
        if self.processes[process].coordinator.is_due() {
            let delay = LONGEST_WAKE.mul_f64(self.random.f64());
            self.schedule(delay, Message::Woken { process });
        }
    }

    fn refuse(&mut self, process: usize, id: u64, error: &Error) {
        assert!(
            matches!(error, Error::Busy { .. } | Error::Backend { .. }),
            "{error}"
        );
        if let Some(call) = self.answer(process, id) {
            call.state = CallState::Finished;
        }
    }

    /// The call is answered, in time and once. Returns `None` if its caller has left meanwhile.
    fn answer(&mut self, process: usize, id: u64) -> Option<&mut Call> {
        let call = self.calls.get_mut(&(process, id)).unwrap();
        if call.state == CallState::Finished {
            return None;
        }
        assert_eq!(call.state, CallState::Waiting, "answered once");
        let late = self.now.since(call.answer_by);
        assert!(late.is_zero(), "answered late by {late:?}");
        Some(call)
    }

    /// Returns whether the caller is still there.
    fn offer(
        &mut self,
        process: usize,
        lease: LeaseId,
        waiter: &Waiter<Numbered>,
        token: u64,
    ) -> bool {
        let id = waiter.caller.0;
        let valid_until = self.processes[process].tenures[&lease].valid_until;
        let asleep_since = (self.random.u32(..8) == 0).then_some(self.now);
        let is_confirmed = self.confirmed.contains(&(process, lease));
        let Some(call) = self.answer(process, id) else {
            return false;
        };
        call.state = CallState::Holding(Holding {
            lease,
            valid_until,
            asleep_since,
        });
        assert!(!call.asks || is_confirmed, "a lease that was not confirmed");
        let (key, mode) = (call.key.clone(), call.mode);
        let tenure = self.processes[process].tenures.get_mut(&lease).unwrap();
        tenure.holder = Some(id);
        tenure.token = token;
        assert!(self.tokens.insert(token), "token {token} again");
        // Of two readers that were let in together, either may hear of it first.
        let (last, last_exclusive) = self.last_tokens.entry(key).or_default();
        let before = if mode.is_exclusive() {
            *last
        } else {
            *last_exclusive
        };
        assert!(token > before, "token {token} after {before}");
        *last = token.max(*last);
        if mode.is_exclusive() {
            *last_exclusive = token;
        }
        self.granted += 1;
        true
    }

    /// A holder has finished, or a waiter whose lease came is gone.
    fn hand_over(&mut self, process: usize, lease: LeaseId, mut request: Option<Request>) {
        let line = self.processes[process].tenures[&lease].line.clone();
        loop {
            let asked = &mut self.processes[process];
            let coordinator = &mut asked.coordinator;
            match coordinator.release(self.now, &line, (lease, true), &mut request) {
                Released::Over => {
                    // Left if there is nothing to wait for.
                    if let Some(Request::Release(number)) = request {
                        self.processes[process].releases.remove(&number);
                    }
                    return self.wake(process);
                }
                Released::Passed { waiter, token } => {
                    let mut extensions = asked.extensions.values();
                    let is_its = |extension: &Extension| extension.lease == lease;
                    assert!(
                        !extensions.any(is_its),
                        "an extension came to the next holder"
                    );
                    self.wake(process);
                    if self.offer(process, lease, &waiter, token) {
                        self.passed_on += 1;
                        if let Some(Request::Release(number)) = request {
                            self.processes[process].releases.remove(&number);
                        }
                        return;
                    }
                }
            }
        }
    }

    /// A body ends, or a future is dropped, at whatever point it has reached.
    pub(super) fn finish_somebody(&mut self) {
        let mut open: Vec<_> = self
            .calls
            .iter()
            .filter(|(_, call)| call.state != CallState::Finished)
            .map(|(who, _)| *who)
            .collect();
        open.sort_unstable();
        if open.is_empty() {
            return;
        }
        let (process, id) = open[self.random.usize(..open.len())];
        self.finish(process, id);
    }

    pub(super) fn finish(&mut self, process: usize, id: u64) {
        let call = self.calls.get_mut(&(process, id)).unwrap();
        let waiter = call.waiter.clone();
        match std::mem::replace(&mut call.state, CallState::Finished) {
            CallState::Waiting => {
                self.cancelled += 1;
                let coordinator = &mut self.processes[process].coordinator;
                let (waiter, line) = waiter.expect("it waits");
                let _left = coordinator.leave(self.now, &line, waiter);
                self.wake(process);
            }
            CallState::Holding(Holding { lease, .. }) => {
                self.requests += 1;
                let number = self.requests;
                self.processes[process].releases.insert(number);
                self.hand_over(process, lease, Some(Request::Release(number)));
            }
            CallState::Finished => {}
        }
    }

    pub(super) fn extend_somebody(&mut self) {
        let holding = self.calls.iter().filter_map(|(who, call)| {
            let held = call.held()?;
            held.asleep_since.is_none().then_some((*who, held.lease))
        });
        let Some(((process, _), lease)) = holding.min() else {
            return;
        };
        let ttl = TTL.mul_f64(0.5 + self.random.f64());
        self.requests += 1;
        let number = self.requests;
        let holding = &mut self.processes[process];
        let tenure = &holding.tenures[&lease];
        let request = Request::Extension(number);
        let wish = (tenure.token, ttl);
        let extended = holding
            .coordinator
            .extend(self.now, &tenure.line, lease, wish, request);
        if extended.is_ok() {
            let asked = Extension {
                lease,
                ttl,
                asked_at: self.now,
            };
            holding.extensions.insert(number, asked);
            self.wake(process);
        }
    }

    /// As the driver does it.
    pub(super) fn perform(&mut self, process: usize, effect: Effect<Numbered, Request>) {
        match effect {
            Effect::Granted {
                lease,
                waiter,
                token,
                valid_until,
            } => {
                let tenure = Tenure {
                    line: waiter.line(),
                    valid_until,
                    holder: None,
                    token: 0,
                };
                self.processes[process].tenures.insert(lease, tenure);
                if !self.offer(process, lease, &waiter, token) {
                    self.hand_over(process, lease, None);
                }
            }
            Effect::Refused { waiter, error } => self.refuse(process, waiter.caller.0, &error),
            Effect::Noticed { lease, notice, .. } => self.hear(process, lease, &notice),
            Effect::CheckOffer { lease, line } => self.check_offer(process, lease, &line),
            Effect::Answered { to, answer } => self.answered(process, &to, &answer),
        }
    }

    /// Takes back an offer that was not taken up in time.
    fn check_offer(&mut self, process: usize, lease: LeaseId, line: &LineName) {
        let checked = &mut self.processes[process];
        let holder = checked.tenures.get(&lease).and_then(|tenure| tenure.holder);
        let held = holder.and_then(|holder| self.calls[&(process, holder)].held());
        let held = held.filter(|held| held.lease == lease);
        let Some((holder, since)) = holder.zip(held.and_then(|held| held.asleep_since)) else {
            return;
        };
        if since + CLAIM_WINDOW > self.now {
            checked.coordinator.check_offer(line, lease, since);
        } else {
            self.missed += 1;
            self.finish(process, holder);
        }
    }

    fn hear(&mut self, process: usize, id: LeaseId, notice: &Notice) {
        self.abandoned += u32::from(matches!(notice, Notice::ReleaseAbandoned));
        let hearing = &mut self.processes[process];
        let Some(tenure) = hearing.tenures.get_mut(&id) else {
            return;
        };
        let held_by = |caller: &Call| caller.held().is_some_and(|held| held.lease == id);
        let holder = tenure
            .holder
            .filter(|holder| held_by(&self.calls[&(process, *holder)]));
        match notice {
            Notice::Renewed { valid_until, .. } => {
                assert!(
                    *valid_until >= tenure.valid_until,
                    "a renewal never shortens"
                );
                tenure.valid_until = *valid_until;
                let call = holder.and_then(|holder| self.calls.get_mut(&(process, holder)));
                if let Some(CallState::Holding(held)) = call.map(|call| &mut call.state) {
                    held.valid_until = *valid_until;
                }
            }
            Notice::Lost(_) => {
                if let Some(holder) = holder {
                    self.finish(process, holder);
                }
            }
            _ => {}
        }
    }

    /// A request has its answer.
    fn answered(&mut self, process: usize, to: &Request, answer: &Result<(), Error>) {
        let now = self.now;
        let asking = &mut self.processes[process];
        match to {
            Request::Release(number) => {
                assert!(asking.releases.remove(number), "a release is answered once");
            }
            Request::Extension(number) => {
                let asked = asking.extensions.remove(number);
                let asked = asked.expect("an extension is answered once");
                if answer.is_ok() {
                    let promised = timing::validity_end(asked.asked_at, asked.ttl);
                    let valid_until = asking.tenures[&asked.lease].valid_until;
                    assert!(valid_until >= promised, "confirmed, and not extended");
                    self.extended += 1;
                }
            }
            Request::Shutdown => {
                assert!(answer.is_ok(), "{answer:?} at {now:?}");
                asking.is_shut_down = true;
            }
        }
    }

    /// The shutdown of each process, when nothing is left to release.
    pub(super) fn shut_down(&mut self) {
        for process in 0..self.processes.len() {
            let within = Duration::from_secs(1);
            let coordinator = &mut self.processes[process].coordinator;
            let asked = coordinator.shutdown(self.now, within, Request::Shutdown);
            asked.expect("it is there");
            self.settle(process);
            assert!(self.processes[process].is_shut_down);
            let terms = Terms {
                key: Key::new(KEYS[0]).unwrap(),
                ttl: TTL,
                wait: Wait::Forever,
                renew: true,
                max_hold: None,
                label: Label::here(),
                confirmation: None,
                mode: Mode::Exclusive,
                min_hold: None,
            };
            let coordinator = &mut self.processes[process].coordinator;
            let queued = coordinator.acquire(self.now, terms.into(), Numbered(0));
            assert!(matches!(queued, Queued::Waiting { .. }));
            let effect = coordinator.next_effect();
            let Some(Effect::Refused { error, .. }) = effect else {
                panic!("{effect:?}");
            };
            assert!(matches!(error, Error::Closed));
        }
    }
}
