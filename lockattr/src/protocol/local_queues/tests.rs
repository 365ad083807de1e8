mod confirming;

use super::*;
use crate::backend::BackendErrorKind;
use crate::label::Label;

const TTL: Duration = Duration::from_secs(10);
const MILLI: Duration = Duration::from_millis(1);

struct Fixture {
    queues: LocalQueues<&'static str>,
    key: Key,
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
            queues: LocalQueues::new(limits),
            key: Key::new("k").unwrap(),
            now: Time::from_nanos(1),
        }
    }

    fn terms(&self) -> Terms {
        Terms {
            key: self.key.clone(),
            ttl: TTL,
            wait: Wait::For(TTL),
            renew: true,
            max_hold: None,
            label: Label::here(),
            confirmation: None,
        }
    }

    fn join(&mut self, terms: Terms, caller: &'static str) -> Joined<&'static str> {
        self.queues.join(self.now, terms, caller)
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
            .granted(self.now, &self.key, id, granted, self.now + TTL)
    }

    fn release(&mut self, id: LeaseId) -> Handover<&'static str> {
        self.queues.released(self.now, &self.key, id)
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
        } = f.join(f.terms(), "a")
        else {
            panic!("nobody is before it");
        };
        f.join(other(f.terms()), "b");
        f.join(f.terms(), "c");
        let key = f.key.clone();
        assert!(f.queues.adopt(&key, id).is_none(), "it suits the asker");
        f.queues.leave(&key, waiter);
        let adopted = f.queues.adopt(&key, id).expect("it does not suit");
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
    assert!(f.queues.extended(&f.key.clone(), id, 1));
    next_ask(f.release(id));
}

/// Its renewal is confirmed, others join, and more tokens come: the extended ttl stays with the
/// holder that asked for it.
#[test]
fn an_extended_lease_is_never_passed_on() {
    let mut f = Fixture::new(4);
    let id = f.ask("a");
    f.grant(id, 1..5);
    let key = f.key.clone();
    assert!(f.queues.extended(&key, id, 1));
    f.queues.renewed(&key, id, false, f.now + TTL * 6);
    for tokens in [20..24, 30..34] {
        let granted = Granted {
            tokens,
            contended: false,
        };
        f.queues.reserved(f.now, &key, id, granted);
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
        !f.queues.extended(&f.key.clone(), id, 1),
        "a has it no more"
    );
    assert_eq!(passed(f.release(id)), ("c", 3));
}

#[test]
fn an_offer_is_checked_a_claim_window_after_it_was_made() {
    let window = Duration::from_secs(1);
    let mut f = Fixture::new(64);
    let key = f.key.clone();
    let id = f.ask("a");
    f.join(f.terms(), "b");
    let start = f.now;
    f.grant(id, 1..65);
    assert_eq!(f.queues.next_deadline(), start + window);
    assert!(f.queues.offers_due(start + window / 2).is_empty());
    // A younger offer of the same tenure plans no check of its own.
    f.now = start + MILLI * 2;
    passed(f.release(id));
    assert_eq!(f.queues.offers_due(start + window), [(key.clone(), id)]);
    f.queues.check_offer(&key, id, f.now);
    assert!(f.queues.offers_due(start + window).is_empty());
    assert_eq!(f.queues.offers_due(f.now + window), [(key.clone(), id)]);
    f.queues.check_offer(&key, id, f.now);
    f.release(id);
    assert!(f.queues.is_empty(), "a tenure that is over is not checked");
}

/// A waiter that leaves from the middle moves no other, and the ends of the queue stay waiters.
#[test]
fn waiters_leave_from_anywhere() {
    let mut f = Fixture::new(64);
    let id = f.ask("holder");
    f.grant(id, 1..65);
    let key = f.key.clone();
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
        assert!(f.queues.leave(&key, waiter).0.is_some());
        assert!(f.queues.leave(&key, waiter).0.is_none(), "only once");
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
    let (now, key) = (f.now, f.key.clone());
    let late = now + MILLI * 200;
    f.queues.renewed(&key, id, false, late);
    assert_eq!(passed(f.release(id)), ("b", 2));
    let too_late = now + MILLI * 199;
    f.queues.renewed(&key, id, false, too_late);
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
    let key = f.key.clone();
    assert!(f.queues.leave(&key, a).1.is_none());
    assert!(matches!(
        f.queues.leave(&key, b).1,
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
    let key = f.key.clone();
    let (_, failures) = f.queues.held(f.now, &key, id, TTL, |_| ());
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

/// The service refuses only the caller that asked; a "busy" goes to a caller that tried once.
#[test]
fn the_next_waiter_asks_when_the_first_has_failed() {
    let unavailable = Error::Backend {
        key: "k".into(),
        source: BackendError::new(BackendErrorKind::Refused, "as a test"),
    };
    let mut f = Fixture::new(64);
    let id = f.ask("a");
    f.join(f.terms(), "b");
    let key = f.key.clone();
    let failures = f.queues.failed(&key, id, unavailable);
    assert!(
        matches!(&failures.callers[..], [(waiter, Error::Backend { .. })] if waiter.caller == "a")
    );
    let [Order::Ask { id, .. }] = failures.orders[..] else {
        panic!("{failures:?}");
    };
    let busy = Error::Busy {
        key: "k".into(),
        waited: MILLI,
        retry_after: None,
    };
    let failures = f.queues.failed(&key, id, busy);
    assert!(failures.callers.is_empty(), "b waits on: {failures:?}");
    assert!(matches!(failures.orders[..], [Order::Ask { .. }]));
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

#[test]
fn tokens_are_refilled_before_they_are_used_up_unless_others_wait() {
    for contended in [false, true] {
        let mut f = Fixture::new(4);
        let id = f.ask("a");
        for caller in ["b", "c", "d", "e", "f", "g"] {
            f.join(f.terms(), caller);
        }
        f.grant(id, 1..5);
        let Handover::Passed {
            order: Some(Order::Refill { tokens: 2, .. }),
            ..
        } = f.release(id)
        else {
            panic!("no refill, or of more than the batch has room for");
        };
        let key = f.key.clone();
        let granted = Granted {
            tokens: 10..12,
            contended,
        };
        f.now = f.now + MILLI * 4;
        f.queues.reserved(f.now, &key, id, granted);
        // No token is left out, and they grow.
        assert_eq!(passed(f.release(id)).1, 3);
        // While other processes wait, the batch keeps its end.
        f.now = f.now + MILLI;
        if contended {
            next_ask(f.release(id));
            continue;
        }
        for token in [4, 10, 11] {
            assert_eq!(passed(f.release(id)).1, token);
        }
        next_ask(f.release(id));
    }
}

/// A counter that is ahead of the clock grants one token. The lease is back before others could come.
#[test]
fn a_lease_without_tokens_is_not_refilled() {
    let mut f = Fixture::new(4);
    let id = f.ask("a");
    f.join(f.terms(), "b");
    let granted = f.grant(id, 7..8);
    assert!(matches!(granted, Handover::Passed { order: None, .. }));
    let behind = f.join(f.terms(), "c");
    assert!(matches!(behind, Joined::Behind { order: None, .. }));
    next_ask(f.release(id));
}

/// The refill asks whether others wait, too, where a batch takes long.
#[test]
fn reservations_never_add_up_to_more_than_a_batch() {
    let mut f = Fixture::new(4);
    let id = f.ask("a");
    for caller in ["b", "c", "d", "e", "f", "g", "h"] {
        f.join(f.terms(), caller);
    }
    f.grant(id, 1..5);
    let key = f.key.clone();
    for start in [10, 20, 30] {
        let granted = Granted {
            tokens: start..start + 1,
            contended: false,
        };
        f.queues.reserved(f.now, &key, id, granted);
    }
    for token in [2, 3, 4, 10] {
        assert_eq!(passed(f.release(id)).1, token);
    }
    next_ask(f.release(id));
}

#[test]
fn a_batch_of_one_is_not_refilled() {
    for size in [1, 2] {
        let mut f = Fixture::new(size);
        let id = f.ask("a");
        f.join(f.terms(), "b");
        let Handover::Passed { order, .. } = f.grant(id, 1..u64::from(size) + 1) else {
            panic!("it has come");
        };
        assert_eq!(order.is_some(), size > 1);
    }
}

/// The first attempt of a short wait found its connection dead: the second one is awaited too.
#[test]
fn a_wait_that_ends_on_a_dead_connection_gets_one_more_answer() {
    let mut f = Fixture::new(64);
    let short = Terms {
        wait: Wait::For(MILLI),
        ..f.terms()
    };
    let Joined::First {
        order: Order::Ask { id, .. },
        ..
    } = f.join(short, "a")
    else {
        panic!("nobody is before it");
    };
    let key = f.key.clone();
    let error = || BackendError::new(BackendErrorKind::Unreachable, "as a test");
    f.now = f.now + MILLI;
    assert!(
        f.queues.expire(f.now).callers.is_empty(),
        "its answer may come"
    );
    f.now = f.now + MILLI * 99;
    f.queues.troubled(f.now, &key, id, error());
    f.now = f.now + MILLI;
    assert!(f.queues.expire(f.now).callers.is_empty(), "it asks again");
    f.now = f.now + MILLI;
    f.queues.troubled(f.now, &key, id, error());
    f.now = f.now + MILLI * 100;
    let failures = f.queues.expire(f.now);
    assert!(matches!(
        &failures.callers[..],
        [(_, Error::Backend { .. })]
    ));
    assert!(f.queues.is_empty());
}

#[test]
fn a_wait_in_vain_reports_the_failure_of_the_service() {
    let short = |f: &Fixture| Terms {
        wait: Wait::For(MILLI),
        ..f.terms()
    };
    let why = |failures: Failures<&'static str>| match &failures.callers[..] {
        [(_, Error::Backend { source, .. })] => source.kind(),
        other => panic!("{other:?}"),
    };
    // The service failed, and is asked again.
    let mut f = Fixture::new(64);
    let id = f.ask("a");
    f.join(short(&f), "b");
    let trouble = BackendError::new(BackendErrorKind::Unreachable, "as a test");
    f.queues.troubled(f.now, &f.key.clone(), id, trouble);
    f.now = f.now + MILLI;
    let failures = f.queues.expire(f.now);
    assert_eq!(why(failures), BackendErrorKind::Unreachable);

    // The service does not answer even the first attempt.
    let mut f = Fixture::new(64);
    f.join(short(&f), "a");
    f.now = f.now + MILLI;
    assert!(f.queues.expire(f.now).callers.is_empty());
    f.now = f.queues.next_deadline();
    let failures = f.queues.expire(f.now);
    assert_eq!(why(failures), BackendErrorKind::Timeout);
}
