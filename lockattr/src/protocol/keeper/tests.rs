mod confirming;
mod holding;
mod late;
mod waiting;

use super::*;
use crate::backend::{BackendError, BackendErrorKind, Failure, Granted, IfHeld, Op, Reply, memory};
use crate::key::Key;
use crate::label::Label;
use crate::mode::Mode;
use crate::spec::Wait;

const TTL: Duration = Duration::from_secs(1);
const RENEWED: Reply = Reply::Renewed { contended: false };
const HOUR: Duration = Duration::from_secs(3600);

struct Fixture {
    keeper: Keeper,
    now: Time,
}

impl Fixture {
    fn new(in_flight: usize) -> Self {
        Self::of(in_flight, memory::capabilities())
    }

    fn of(in_flight: usize, capabilities: Capabilities) -> Self {
        let limits = Limits {
            in_flight,
            response_timeout: Duration::from_secs(1),
            claim_window: Duration::from_secs(1),
            batch: Batch {
                size: 8,
                time: Duration::from_millis(5),
            },
        };
        let owners = OwnerIds::from_bits([0; 16]);
        Self {
            keeper: Keeper::new(limits, capabilities, owners, fastrand::Rng::with_seed(1)),
            now: Time::from_nanos(1_000_000_000_000),
        }
    }

    fn asks(&mut self, id: u64, wait: Wait) {
        self.asks_for(id, wait, true, None);
    }

    fn asks_for(&mut self, id: u64, wait: Wait, renew: bool, max_hold: Option<Duration>) {
        let terms = Terms {
            wait,
            renew,
            max_hold,
            ..terms()
        };
        self.keeper.acquire(self.now, LeaseId(id), terms.into(), 1);
    }

    fn sends(&mut self) -> Option<Attempt> {
        self.keeper.begin_sending(|_, waiting| waiting);
        self.keeper.next_attempt(self.now)
    }

    fn hears(&mut self, reply: Reply) {
        let attempt = self.sends().unwrap();
        self.answers(&attempt, Ok(reply));
    }

    fn answers(&mut self, attempt: &Attempt, outcome: Result<Reply, Failure>) {
        self.keeper
            .on_event(self.now, Event::Done(attempt.id, outcome));
    }

    fn holds(&mut self, id: u64) {
        self.asks(id, Wait::Forever);
        self.hears(Reply::Granted(granted()));
        self.told();
    }

    fn waits(&mut self, id: u64) {
        self.asks(id, Wait::Forever);
        self.hears(Reply::Held {
            ends_in: HOUR,
            holder: None,
        });
        self.told();
    }

    fn after(&mut self, span: Duration) {
        self.now = self.now + span;
        self.keeper.on_time(self.now);
    }

    fn told(&mut self) -> Vec<(u64, Notice)> {
        let notices = std::iter::from_fn(|| self.keeper.next_notice());
        notices.map(|(LeaseId(id), notice)| (id, notice)).collect()
    }
}

fn terms() -> Terms {
    Terms {
        key: Key::new("k").unwrap(),
        ttl: TTL,
        wait: Wait::Forever,
        renew: true,
        max_hold: None,
        label: Label::here(),
        confirmation: None,
        mode: Mode::Exclusive,
        min_hold: None,
    }
}

fn granted() -> Granted {
    Granted {
        tokens: 7..8,
        contended: false,
    }
}

fn failure(passing: bool) -> Failure {
    Failure {
        maybe_executed: false,
        passing,
        error: BackendError::new(BackendErrorKind::Timeout, "as a test"),
    }
}

#[test]
fn closing_ends_waits_and_leases_and_refuses_new_acquisitions() {
    let mut f = Fixture::new(8);
    f.holds(1);
    f.waits(2);
    f.keeper.close(f.now);
    let mut told = f.told();
    told.sort_by_key(|(id, _)| *id);
    assert!(
        matches!(
            &told[..],
            [
                (1, Notice::Lost(LossReason::Shutdown)),
                (2, Notice::Failed(Error::Closed))
            ]
        ),
        "{told:?}"
    );
    let attempt = f.sends().unwrap();
    assert!(matches!(
        attempt.op,
        Op::Release {
            leave_queue: true,
            ..
        }
    ));
    f.answers(&attempt, Ok(Reply::Released));
    assert!(f.sends().is_none(), "the holder is not finished yet");
    f.keeper.release_all(f.now);
    f.hears(Reply::Released);
    assert_eq!(f.keeper.unfinished(), 0);
    f.told();
    f.asks(3, Wait::Forever);
    assert!(matches!(f.told()[0], (3, Notice::Failed(Error::Closed))));
}

#[test]
fn a_refusal_says_whether_the_lock_or_the_service_is_busy() {
    let mut f = Fixture::new(1);
    f.asks(1, Wait::For(Duration::ZERO));
    f.hears(Reply::Held {
        ends_in: HOUR,
        holder: None,
    });
    let told = f.told();
    assert!(
        matches!(told[0], (1, Notice::Failed(Error::Busy { .. }))),
        "{told:?}"
    );

    f.asks(2, Wait::Forever);
    let unanswered = f.sends().unwrap();
    f.asks(3, Wait::For(Duration::ZERO));
    assert!(f.sends().is_none(), "no more at a time");
    f.after(TTL / 4);
    assert_eq!(f.keeper.take_overdue(), [unanswered.id]);
    let told = f.told();
    let is_failed = |(id, notice): &(u64, Notice)| {
        *id == 3 && matches!(notice, Notice::Failed(Error::Backend { .. }))
    };
    assert!(told.iter().any(is_failed), "{told:?}");
}

/// The renewals of a hundred thousand leases would delay every acquire.
#[test]
fn acquires_do_not_wait_for_renewals() {
    let mut f = Fixture::new(1);
    for id in 0..4 {
        f.holds(id);
    }
    f.after(TTL / 3);
    for _ in 0..4 {
        assert!(matches!(f.sends().unwrap().op, Op::Renew { .. }));
    }
    f.asks(9, Wait::Forever);
    assert!(matches!(f.sends().unwrap().op, Op::Acquire { .. }));
}

/// A connection that was idle for long may be dead; the next one is not.
#[test]
fn a_caller_that_tries_once_wants_one_answer() {
    let once = Wait::For(Duration::ZERO);
    let mut f = Fixture::new(8);
    f.asks(1, once);
    f.sends().unwrap();
    f.after(TTL / 4);
    assert!(matches!(f.told()[..], [(1, Notice::Trouble(_))]));
    f.after(Duration::from_millis(10));
    f.hears(Reply::Granted(granted()));
    assert!(matches!(f.told()[..], [(1, Notice::Acquired { .. })]));

    let mut f = Fixture::new(8);
    f.asks(1, once);
    f.sends().unwrap();
    f.after(TTL / 4);
    f.after(Duration::from_millis(10));
    let second = f.sends().unwrap();
    f.answers(&second, Err(failure(true)));
    let told = f.told();
    assert!(
        matches!(
            &told[..],
            [_, (1, Notice::Failed(Error::Backend { .. })), ..]
        ),
        "{told:?}"
    );
}

/// A ttl that is too short for the round trip is its caller's mistake, and the error says so.
#[test]
fn an_answer_that_is_overdue_for_its_own_ttl_names_the_ttl_and_the_round_trip() {
    let mut f = Fixture::new(8);
    f.asks(1, Wait::Forever);
    for texts in [
        &["250ms", "ttl of 1s"][..],
        &["250ms", "ttl of 1s", "round trip takes 400ms"],
    ] {
        let attempt = f.sends().unwrap();
        f.after(TTL / 4);
        let told = f.told();
        let [(1, Notice::Trouble(error))] = &told[..] else {
            panic!("{told:?}");
        };
        for text in texts {
            assert!(error.to_string().contains(text), "{error}");
        }
        f.after(Duration::from_millis(150));
        f.answers(
            &attempt,
            Ok(Reply::Held {
                ends_in: HOUR,
                holder: None,
            }),
        );
    }
}

/// The server finds the place in its queue by the label of the first attempt.
#[test]
fn an_owner_sends_the_same_label_in_all_attempts() {
    let mut f = Fixture::new(8);
    f.asks(1, Wait::Forever);
    let first = f.sends().unwrap();
    f.answers(&first, Ok(Reply::Granted(granted())));
    f.told();
    let other = Terms {
        label: Label::here(),
        ..terms()
    };
    f.keeper.adopt(f.now, LeaseId(1), other.into());
    f.keeper.release(f.now, LeaseId(1));
    let release = std::iter::from_fn(|| f.sends()).last().unwrap();
    assert!(matches!(release.op, Op::Release { .. }));
    assert_eq!(release.label.to_string(), first.label.to_string());
}

#[test]
fn a_lasting_failure_is_not_tried_again() {
    let mut f = Fixture::new(8);
    f.asks(1, Wait::Forever);
    let attempt = f.sends().unwrap();
    f.answers(&attempt, Err(failure(false)));
    assert!(matches!(
        f.told()[..],
        [
            (1, Notice::Failed(Error::Backend { .. })),
            (1, Notice::Withdrawn)
        ]
    ));
}

impl Fixture {
    fn is_handed(&mut self, id: u64, since: Time) {
        let event = Event::HandedOver {
            owner: OwnerIds::from_bits([0; 16]).first(LeaseId(id)),
            granted: granted(),
            since,
            ttl: TTL,
        };
        self.keeper.on_event(self.now, event);
    }
}

#[test]
fn forgotten_acquisitions_send_nothing() {
    let mut f = Fixture::new(1);
    f.holds(1);
    f.asks(2, Wait::Forever);
    let attempt = f.sends().unwrap();
    f.keeper.clear();
    assert_eq!(f.keeper.unfinished(), 0);
    assert_eq!(f.keeper.wakeup(), Time::NEVER);
    f.answers(&attempt, Ok(Reply::Granted(granted())));
    f.keeper.release(f.now, LeaseId(1));
    assert!(f.told().is_empty() && f.sends().is_none());
    f.holds(3);
    f.keeper.close(f.now);
    f.keeper.clear();
    f.told();
    f.asks(4, Wait::Forever);
    assert!(matches!(f.told()[0], (4, Notice::Failed(Error::Closed))));
}
