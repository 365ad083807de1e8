use std::collections::VecDeque;
use std::ops::Range;

use super::*;
use crate::Error;
use crate::backend::{Granted, Op, Reply, memory};
use crate::key::Key;
use crate::label::Label;
use crate::mode::Mode;
use crate::protocol::{Batch, Notice};
use crate::spec::Wait;

const TTL: Duration = Duration::from_secs(10);
const MILLI: Duration = Duration::from_millis(1);

#[derive(Debug)]
struct Named(&'static str);

impl Caller for Named {
    type Trace = &'static str;

    fn trace(&self) -> &'static str {
        self.0
    }
}

struct Fixture {
    coordinator: Coordinator<Named, &'static str>,
    line: LineName,
    now: Time,
}

impl Fixture {
    fn new() -> Self {
        let limits = Limits {
            in_flight: 8,
            response_timeout: MILLI * 100,
            claim_window: Duration::from_secs(1),
            batch: Batch {
                size: 64,
                time: MILLI * 5,
            },
        };
        let jitter = fastrand::Rng::with_seed(1);
        Self {
            coordinator: Coordinator::new(
                limits,
                memory::capabilities(),
                OwnerIds::from_bits([1; 16]),
                jitter,
            ),
            line: LineName::exclusive(Key::new("k").unwrap()),
            now: Time::from_nanos(1),
        }
    }

    fn acquire(&mut self, name: &'static str, wait: Duration) -> Queued<Named> {
        let terms = Terms {
            key: self.line.key().clone(),
            ttl: TTL,
            wait: Wait::For(wait),
            renew: true,
            max_hold: None,
            label: Label::here(),
            confirmation: None,
            mode: Mode::Exclusive,
            min_hold: None,
        };
        self.coordinator
            .acquire(self.now, terms.into(), Named(name))
    }

    fn join(&mut self, name: &'static str, wait: Duration) -> u64 {
        match self.acquire(name, wait) {
            Queued::Waiting { waiter, .. } => waiter,
            refused @ Queued::Refused(..) => panic!("{refused:?}"),
        }
    }

    fn attempt(&mut self) -> Attempt {
        self.coordinator.next_attempt(self.now).expect("one is due")
    }

    fn reply(&mut self, attempt: &Attempt, reply: Reply) {
        let done = Event::Done(attempt.id, Ok(reply));
        self.coordinator.on_event(self.now, done);
    }

    fn grant(&mut self, tokens: Range<u64>) -> LeaseId {
        let attempt = self.attempt();
        assert!(matches!(attempt.op, Op::Acquire { .. }), "{attempt:?}");
        let contended = false;
        self.reply(&attempt, Reply::Granted(Granted { tokens, contended }));
        attempt.id.lease
    }

    fn effects(&mut self) -> VecDeque<Effect<Named, &'static str>> {
        std::iter::from_fn(|| self.coordinator.next_effect()).collect()
    }

    /// Returns the names in the answers and refusals, in order.
    fn told(&mut self) -> Vec<&'static str> {
        let told = self
            .effects()
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Granted { waiter, .. } | Effect::Refused { waiter, .. } => {
                    Some(waiter.caller.0)
                }
                Effect::Answered { to, .. } => Some(to),
                Effect::Noticed { .. } | Effect::CheckOffer { .. } => None,
            });
        told.collect()
    }

    fn release(&mut self, lease: LeaseId, request: &'static str) -> Option<&'static str> {
        let mut request = Some(request);
        let now = self.now;
        match self
            .coordinator
            .release(now, &self.line, (lease, true), &mut request)
        {
            Released::Passed { waiter, .. } => {
                assert!(request.is_some(), "nobody answers it");
                Some(waiter.caller.0)
            }
            Released::Over => {
                assert_eq!(request.is_none(), self.coordinator.unfinished() > 0);
                None
            }
        }
    }
}

#[test]
fn a_lease_comes_is_passed_on_and_goes_back() {
    let mut f = Fixture::new();
    f.join("a", TTL);
    f.join("b", TTL);
    let lease = f.grant(1..65);
    assert_eq!(f.told(), ["a"]);
    assert_eq!(f.release(lease, "a is finished"), Some("b"));
    assert!(f.told().is_empty());
    assert_eq!(f.release(lease, "b is finished"), None);
    let attempt = f.attempt();
    assert!(matches!(attempt.op, Op::Release { .. }));
    assert!(f.told().is_empty(), "not before the answer");
    f.reply(&attempt, Reply::Released);
    assert_eq!(f.told(), ["b is finished"]);
    assert!(f.coordinator.is_idle());
}

#[test]
fn an_acquire_without_waiters_is_not_sent() {
    let mut f = Fixture::new();
    let (a, b) = (f.join("a", TTL), f.join("b", TTL));
    let line = f.line.clone();
    let (waiter, is_releasing) = f.coordinator.leave(f.now, &line, a);
    assert!(waiter.is_some() && !is_releasing, "b waits for the lease");
    let (_, is_releasing) = f.coordinator.leave(f.now, &line, b);
    assert!(is_releasing);
    assert!(f.coordinator.next_attempt(f.now).is_none());
    assert!(f.coordinator.is_idle());
}

#[test]
fn the_thread_is_woken_for_a_wait_that_ends_before_its_sleep() {
    let mut f = Fixture::new();
    f.join("a", TTL);
    let attempt = f.attempt();
    let ends_in = TTL * 2;
    f.reply(
        &attempt,
        Reply::Held {
            ends_in,
            holder: None,
        },
    );
    f.effects();
    let until = f.coordinator.sleep(f.now);
    assert!(!f.coordinator.is_due());
    f.join("b", TTL);
    assert!(!f.coordinator.is_due(), "its wait ends later");
    f.join("c", until.since(f.now) / 2);
    assert!(f.coordinator.is_due());
    assert!(f.coordinator.sleep(f.now) < until);
    assert!(!f.coordinator.is_due());
}

#[test]
fn each_extension_has_its_own_answer_and_only_the_holder_extends() {
    let mut f = Fixture::new();
    f.join("a", TTL);
    let lease = f.grant(7..71);
    f.effects();
    let (now, line) = (f.now, f.line.clone());
    let mut extend = |token, request| {
        let wish = (token, TTL * 2);
        f.coordinator.extend(now, &line, lease, wish, request)
    };
    assert_eq!(extend(8, "a stranger"), Err("a stranger"));
    assert_eq!(extend(7, "the first"), Ok(()));
    let attempt = f.attempt();
    let (now, line) = (f.now, f.line.clone());
    let wish = (7, TTL * 3);
    let second = f.coordinator.extend(now, &line, lease, wish, "the second");
    assert_eq!(second, Ok(()));
    let renewed = Reply::Renewed { contended: false };
    f.reply(&attempt, renewed.clone());
    assert_eq!(f.told(), ["the first"], "the second was not sent yet");
    let attempt = f.attempt();
    f.reply(&attempt, renewed);
    assert_eq!(f.told(), ["the second"]);
}

#[test]
fn a_shutdown_refuses_waiters_and_releases_what_is_held() {
    let mut f = Fixture::new();
    f.join("a", TTL);
    let lease = f.grant(1..65);
    f.join("b", TTL);
    f.effects();
    let shut_down = f.coordinator.shutdown(f.now, TTL, "the end");
    assert_eq!(shut_down, Ok(()));
    let effects = f.effects();
    let is_lost = |effect: &Effect<_, _>| matches!(effect, Effect::Noticed { notice: Notice::Lost(_), lease: lost, .. } if *lost == lease);
    assert!(effects.iter().any(is_lost), "{effects:?}");
    let refused = effects.iter().any(|effect| {
        matches!(effect, Effect::Refused { waiter, error: Error::Closed } if waiter.caller.0 == "b")
    });
    assert!(refused, "{effects:?}");
    assert_eq!(f.release(lease, "a is finished"), None);
    let attempt = f.attempt();
    f.reply(&attempt, Reply::Released);
    f.coordinator.on_time(f.now);
    assert_eq!(f.told(), ["a is finished", "the end"]);
}

#[test]
fn a_request_after_the_end_comes_back() {
    let mut f = Fixture::new();
    f.join("a", TTL);
    assert_eq!(f.coordinator.drain("nothing is released"), Ok(()));
    let forgotten = f.coordinator.end();
    assert_eq!(forgotten.waiters.len(), 1);
    assert_eq!(f.coordinator.drain("too late"), Err("too late"));
    let queued = f.acquire("b", TTL);
    assert!(
        matches!(queued, Queued::Refused(_, Error::Closed)),
        "{queued:?}"
    );
    assert_eq!(
        f.coordinator.shutdown(f.now, TTL, "too late"),
        Err("too late")
    );
    // Left to its caller, since no thread would answer it.
    assert_eq!(f.release(LeaseId(1), "nobody's"), None);
    assert!(f.told().is_empty());
}
