mod confirming;
mod failing;
mod outgrowing;
mod tokens;

use super::*;
use crate::backend::BackendErrorKind;
use crate::key::Key;
use crate::label::Label;
use crate::mode::Mode;

const TTL: Duration = Duration::from_secs(10);
const MILLI: Duration = Duration::from_millis(1);

struct Fixture {
    queues: LocalQueues<&'static str>,
    line: LineName,
    now: Time,
}

impl Fixture {
    fn new(size: u32) -> Self {
        let limits = Limits {
            in_flight: 8,
            response_timeout: MILLI * 100,
            claim_window: Duration::from_secs(1),
            batch: Batch {
                size,
                time: MILLI * 5,
            },
        };
        Self {
            queues: LocalQueues::new(limits, true),
            line: LineName::exclusive(Key::new("k").unwrap()),
            now: Time::from_nanos(1),
        }
    }

    fn terms(&self) -> Terms {
        Terms {
            key: self.line.key().clone(),
            ttl: TTL,
            wait: Wait::For(TTL),
            renew: true,
            max_hold: None,
            label: Label::here(),
            confirmation: None,
            mode: Mode::Exclusive,
            min_hold: None,
        }
    }

    fn join(&mut self, terms: Terms, caller: &'static str) -> Joined<&'static str> {
        self.queues.join(self.now, terms.into(), caller)
    }

    /// The first caller joins, so a lease is asked for. Returns its id.
    fn ask(&mut self, caller: &'static str) -> LeaseId {
        match self.join(self.terms(), caller) {
            Joined::First {
                order: Order::Ask { id, .. },
                ..
            } => id,
            joined => panic!("{joined:?}"),
        }
    }

    fn grant(&mut self, id: LeaseId, tokens: std::ops::Range<u64>) -> Handover<&'static str> {
        let granted = Granted {
            tokens,
            contended: false,
        };
        self.queues
            .granted(self.now, &self.line, id, granted, self.now + TTL)
    }

    fn release(&mut self, id: LeaseId) -> Handover<&'static str> {
        self.queues.released(self.now, &self.line, id)
    }
}

fn passed(released: Handover<&'static str>) -> (&'static str, u64) {
    match released {
        Handover::Passed { waiter, token, .. } => (waiter.caller, token),
        Handover::Over { next } => panic!("over, next {next:?}"),
    }
}

fn next_ask(released: Handover<&'static str>) -> LeaseId {
    match released {
        Handover::Over {
            next: Some(Order::Ask { id, .. }),
        } => id,
        released => panic!("{released:?}"),
    }
}

#[test]
fn a_lease_is_passed_on_in_order_until_its_tokens_are_used() {
    let mut f = Fixture::new(3);
    let id = f.ask("a");
    for caller in ["b", "c", "d"] {
        assert!(matches!(f.join(f.terms(), caller), Joined::Behind { .. }));
    }
    assert_eq!(passed(f.grant(id, 7..10)), ("a", 7));
    assert_eq!(passed(f.release(id)), ("b", 8));
    assert_eq!(passed(f.release(id)), ("c", 9));
    let next = next_ask(f.release(id));
    assert_eq!(passed(f.grant(next, 20..23)), ("d", 20));
    assert!(matches!(f.release(next), Handover::Over { next: None }));
    assert!(f.queues.is_empty());
}

#[test]
fn a_batch_is_over_in_time() {
    let mut f = Fixture::new(64);
    let id = f.ask("a");
    f.join(f.terms(), "b");
    f.grant(id, 1..65);
    f.now = f.now + MILLI * 5;
    next_ask(f.release(id));
}

const OTHER_TERMS: [fn(Terms) -> Terms; 3] = [
    |terms| Terms {
        ttl: TTL * 2,
        ..terms
    },
    |terms| Terms {
        renew: false,
        ..terms
    },
    |terms| Terms {
        max_hold: Some(TTL),
        ..terms
    },
];

/// The lease was asked for under the terms of a waiter that has left since.
#[test]
fn a_lease_goes_to_the_front_whatever_its_terms() {
    for other in OTHER_TERMS {
        let mut f = Fixture::new(64);
        let Joined::First {
            waiter,
            order: Order::Ask { id, .. },
            ..
        } = f.join(f.terms(), "a")
        else {
            panic!("nobody is before it");
        };
        f.join(other(f.terms()), "b");
        f.join(f.terms(), "c");
        let line = f.line.clone();
        assert!(f.queues.adopt(&line, id).is_none(), "it suits the asker");
        f.queues.leave(&line, waiter);
        let adopted = f.queues.adopt(&line, id).expect("it does not suit");
        let wanted = other(f.terms());
        let said = |terms: &Terms| (terms.ttl, terms.renew, terms.max_hold);
        assert_eq!(said(&adopted), said(&wanted));
        assert_eq!(passed(f.grant(id, 1..65)), ("b", 1));
        next_ask(f.release(id));
    }
}

#[test]
fn a_lease_is_passed_on_only_under_its_own_terms() {
    for other in OTHER_TERMS {
        let mut f = Fixture::new(64);
        let id = f.ask("a");
        f.join(other(f.terms()), "b");
        f.grant(id, 1..65);
        next_ask(f.release(id));
    }
    let mut f = Fixture::new(64);
    let id = f.ask("a");
    f.join(f.terms(), "b");
    f.grant(id, 1..65);
    assert!(f.queues.extended(&f.line.clone(), id, 1));
    next_ask(f.release(id));
}

/// Its renewal is confirmed, others join, and more tokens come: the extended ttl stays with the
/// holder that asked for it.
#[test]
fn an_extended_lease_is_never_passed_on() {
    let mut f = Fixture::new(4);
    let id = f.ask("a");
    f.grant(id, 1..5);
    let line = f.line.clone();
    assert!(f.queues.extended(&line, id, 1));
    f.queues.renewed(&line, id, false, f.now + TTL * 6);
    for tokens in [20..24, 30..34] {
        let granted = Granted {
            tokens,
            contended: false,
        };
        f.queues.reserved(f.now, &line, id, granted);
        let joined = f.join(f.terms(), "b");
        assert!(
            matches!(joined, Joined::Behind { order: None, .. }),
            "no tokens are asked for that nobody may use: {joined:?}"
        );
    }
    next_ask(f.release(id));
}

/// The order to extend comes when the lease has gone to the next holder.
#[test]
fn only_the_holder_changes_its_lease() {
    let mut f = Fixture::new(64);
    let id = f.ask("a");
    f.join(f.terms(), "b");
    f.join(f.terms(), "c");
    f.grant(id, 1..65);
    assert_eq!(passed(f.release(id)), ("b", 2));
    assert!(
        !f.queues.extended(&f.line.clone(), id, 1),
        "a has it no more"
    );
    assert_eq!(passed(f.release(id)), ("c", 3));
}

#[test]
fn an_offer_is_checked_a_claim_window_after_it_was_made() {
    let window = Duration::from_secs(1);
    let mut f = Fixture::new(64);
    let line = f.line.clone();
    let id = f.ask("a");
    f.join(f.terms(), "b");
    let start = f.now;
    f.grant(id, 1..65);
    assert_eq!(f.queues.next_deadline(), start + window);
    assert!(f.queues.offers_due(start + window / 2).is_empty());
    // A younger offer of the same tenure plans no check of its own.
    f.now = start + MILLI * 2;
    passed(f.release(id));
    assert_eq!(f.queues.offers_due(start + window), [(line.clone(), id)]);
    f.queues.check_offer(&line, id, f.now);
    assert!(f.queues.offers_due(start + window).is_empty());
    assert_eq!(f.queues.offers_due(f.now + window), [(line.clone(), id)]);
    f.queues.check_offer(&line, id, f.now);
    f.release(id);
    assert!(f.queues.is_empty(), "a tenure that is over is not checked");
}

/// A waiter that leaves from the middle moves no other, and the ends of the queue stay waiters.
#[test]
fn waiters_leave_from_anywhere() {
    let mut f = Fixture::new(64);
    let id = f.ask("holder");
    f.grant(id, 1..65);
    let line = f.line.clone();
    let waiters: Vec<u64> = (0..1000)
        .map(|_| match f.join(f.terms(), "w") {
            Joined::Behind { waiter, .. } => waiter,
            joined => panic!("{joined:?}"),
        })
        .collect();
    let mut random = fastrand::Rng::with_seed(4);
    let mut left = waiters.clone();
    random.shuffle(&mut left);
    let stay = left.split_off(900);
    for waiter in left {
        assert!(f.queues.leave(&line, waiter).0.is_some());
        assert!(f.queues.leave(&line, waiter).0.is_none(), "only once");
    }
    let mut served = Vec::new();
    while let Handover::Passed { waiter, .. } = f.release(id) {
        served.push(waiter.id);
        if served.len() == 63 {
            break;
        }
    }
    let mut expected = stay;
    expected.sort_unstable();
    assert_eq!(served, expected[..63]);
}

#[test]
fn a_lease_that_is_nearly_over_is_not_passed_on() {
    let mut f = Fixture::new(64);
    let id = f.ask("a");
    f.join(f.terms(), "b");
    f.grant(id, 1..65);
    f.join(f.terms(), "c");
    let (now, line) = (f.now, f.line.clone());
    let late = now + MILLI * 200;
    f.queues.renewed(&line, id, false, late);
    assert_eq!(passed(f.release(id)), ("b", 2));
    let too_late = now + MILLI * 199;
    f.queues.renewed(&line, id, false, too_late);
    next_ask(f.release(id));
}

#[test]
fn the_last_waiter_to_leave_withdraws_the_request() {
    let mut f = Fixture::new(64);
    let joined = f.join(f.terms(), "a");
    let Joined::First { waiter: a, .. } = joined else {
        panic!("{joined:?}");
    };
    let joined = f.join(f.terms(), "b");
    let Joined::Behind { waiter: b, .. } = joined else {
        panic!("{joined:?}");
    };
    let line = f.line.clone();
    assert!(f.queues.leave(&line, a).1.is_none());
    assert!(matches!(
        f.queues.leave(&line, b).1,
        Some(Order::Release { .. })
    ));
    assert!(f.queues.is_empty());
}

#[test]
fn each_waiter_waits_for_its_time_and_the_first_for_its_answer() {
    let mut f = Fixture::new(64);
    let short = Terms {
        wait: Wait::For(MILLI),
        ..f.terms()
    };
    let id = match f.join(short.clone(), "a") {
        Joined::First {
            order: Order::Ask { id, .. },
            ..
        } => id,
        joined => panic!("{joined:?}"),
    };
    f.join(short, "b");
    f.now = f.now + MILLI;
    let failures = f.queues.expire(f.now);
    let [(waiter, Error::Busy { .. })] = &failures.callers[..] else {
        panic!("{failures:?}");
    };
    assert_eq!(waiter.caller, "b");
    let line = f.line.clone();
    let (_, failures) = f.queues.held(f.now, &line, id, (TTL, None), |_| ());
    assert_eq!(failures.callers[0].0.caller, "a");
    assert!(matches!(failures.orders[..], [Order::Release { .. }]));
    assert!(f.queues.is_empty());
}

#[test]
fn a_caller_that_tries_once_does_not_join_the_queue() {
    let mut f = Fixture::new(64);
    f.ask("a");
    let once = Terms {
        wait: Wait::For(Duration::ZERO),
        ..f.terms()
    };
    let refused = f.join(once.clone(), "b");
    assert!(matches!(refused, Joined::Refused("b", Error::Busy { .. })));

    // The keeper answers the first caller, at any time.
    let mut f = Fixture::new(64);
    assert!(matches!(f.join(once, "a"), Joined::First { .. }));
    assert_eq!(f.queues.next_deadline(), Time::NEVER);
}

#[test]
fn the_end_returns_all_waiters() {
    let mut f = Fixture::new(64);
    let id = f.ask("a");
    f.join(f.terms(), "b");
    let forgotten: Vec<_> = f.queues.clear().into_iter().map(|it| it.caller).collect();
    assert_eq!(forgotten, ["a", "b"]);
    assert!(f.queues.is_empty());
    assert!(matches!(f.grant(id, 1..65), Handover::Over { next: None }));
    f.ask("c");
    assert_eq!(f.queues.close().len(), 1);
    let refused = f.join(f.terms(), "d");
    assert!(matches!(refused, Joined::Refused("d", Error::Closed)));
}
