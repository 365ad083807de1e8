use super::*;
use crate::backend::{BackendError, BackendErrorKind, Claim, Failure, IfHeld, LeaseId};
use crate::key::Key;
use crate::label::Label;
use crate::mode::Mode;
use crate::timing;

const TTL: Duration = Duration::from_secs(10);
const CLAIM: Claim = Claim {
    ttl: Duration::from_millis(400),
    tokens: 4,
};

fn at(millis: u64) -> Time {
    Time::from_nanos(1_000_000_000) + Duration::from_millis(millis)
}

fn owner() -> OwnerId {
    OwnerIds::from_bits([1; 16]).first(LeaseId(7))
}

/// A process that uses three servers, and what it has sent to them.
struct Process {
    ballots: Ballots,
    number: u64,
    sent: Vec<(usize, Attempt)>,
    told: Vec<Event>,
}

impl Process {
    fn new() -> Self {
        let members = Members::new(["a", "b", "c"].map(str::to_owned));
        let ids = OwnerIds::from_bits([2; 16]);
        Self {
            ballots: Ballots::new(members, Duration::from_millis(100), ids),
            number: 0,
            sent: Vec::new(),
            told: Vec::new(),
        }
    }

    fn ask(&mut self, now: Time, op: Op) {
        self.number += 1;
        let attempt = Attempt {
            id: AttemptId {
                lease: owner().lease,
                number: self.number,
            },
            // Its servers stand in the order a, b, c.
            key: Key::new("order:1").unwrap(),
            owner: owner(),
            claim: CLAIM,
            label: Label::here(),
            op,
            confirmation: None,
            mode: Mode::Exclusive,
            least_token: 0,
        };
        self.ballots.submit(now, &attempt);
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(effect) = self.ballots.next_effect() {
            match effect {
                Effect::Submit(member, attempt) => self.sent.push((member, attempt)),
                Effect::Overdue(..) => {}
                Effect::Tell(event) => self.told.push(event),
            }
        }
    }

    /// Returns the latest request to a server.
    fn asked(&self, member: usize) -> &Attempt {
        let mut of_it = self.sent.iter().rev().filter(|(to, _)| *to == member);
        &of_it.next().unwrap().1
    }

    fn answer(&mut self, now: Time, member: usize, reply: Reply) {
        let id = self.asked(member).id;
        self.outcome(now, member, id, Ok(reply));
    }

    fn outcome(&mut self, now: Time, member: usize, id: AttemptId, outcome: Outcome) {
        self.ballots.on_outcome(now, member, id, outcome);
        self.settle();
    }

    /// Returns the answer to the latest attempt, if there is one.
    fn answered(&mut self) -> Option<Outcome> {
        let place = self
            .told
            .iter()
            .position(|event| matches!(event, Event::Done(..)))?;
        match self.told.remove(place) {
            Event::Done(_, outcome) => Some(outcome),
            _ => None,
        }
    }
}

fn acquire(if_held: IfHeld) -> Op {
    Op::Acquire { ttl: TTL, if_held }
}

fn granted(first: u64) -> Reply {
    Reply::Granted(Granted::new(first..first + 4, false))
}

const HELD: Reply = Reply::Held {
    holder: None,
    ends_in: Duration::from_secs(3),
};

#[test]
fn a_majority_raises_its_counters_to_the_greatest_token() {
    let mut process = Process::new();
    process.ask(at(0), acquire(IfHeld::Queue));
    process.answer(at(1), 0, granted(10));
    process.answer(at(1), 2, granted(50));
    assert!(
        process.answered().is_none(),
        "a later majority may have a and b"
    );
    let raise = process.asked(0);
    assert_eq!(
        (raise.op, raise.least_token),
        (Op::Reserve { tokens: 1 }, 53)
    );
    let raised = Reply::Reserved(Granted::new(53..54, false));
    process.answer(at(2), 0, raised);
    let Some(Ok(Reply::Granted(all))) = process.answered() else {
        panic!("{:?}", process.told);
    };
    assert_eq!(all.tokens, 50..54);
}

/// What a server granted before it lost its data says nothing of its counter.
#[test]
fn a_server_that_forgot_its_counter_is_raised_again() {
    let mut process = Process::new();
    process.ask(at(0), acquire(IfHeld::Queue));
    process.answer(at(1), 0, granted(500));
    process.answer(at(1), 1, granted(500));
    assert!(matches!(process.answered(), Some(Ok(Reply::Granted(_)))));
    process.ask(at(100), acquire(IfHeld::Queue));
    process.answer(at(101), 0, granted(10));
    process.answer(at(101), 2, granted(498));
    assert!(process.answered().is_none());
    for member in [0, 2] {
        let raise = process.asked(member);
        assert_eq!(
            (raise.op, raise.least_token),
            (Op::Reserve { tokens: 1 }, 503)
        );
    }
    for member in [0, 2] {
        let raised = Reply::Reserved(Granted::new(503..504, false));
        process.answer(at(102), member, raised);
    }
    let answer = process.answered();
    assert!(matches!(answer, Some(Ok(Reply::Granted(all))) if all.tokens == (500..501)));
}

#[test]
fn who_is_refused_by_the_first_server_gives_the_others_back() {
    let mut process = Process::new();
    process.ask(at(0), acquire(IfHeld::Queue));
    let ifs: Vec<Op> = (0..3).map(|member| process.asked(member).op).collect();
    assert_eq!(ifs[0], acquire(IfHeld::Queue));
    assert_eq!(ifs[1..], [acquire(IfHeld::Refuse); 2]);
    process.answer(at(1), 1, granted(10));
    process.answer(at(1), 2, granted(10));
    assert!(
        process.answered().is_none(),
        "the first one keeps the queue"
    );
    let before = process.asked(1).owner.clone();
    process.answer(at(2), 0, HELD);
    assert!(matches!(process.answered(), Some(Ok(Reply::Held { .. }))));
    for member in [1, 2] {
        assert!(matches!(process.asked(member).op, Op::Release { .. }));
    }
    assert_eq!(process.asked(1).owner, before);
    // It is asked again as another owner: the release may be executed later than this.
    process.ballots.on_time(at(500));
    let first = process.asked(0).owner.clone();
    process.ask(at(600), acquire(IfHeld::Queue));
    assert_eq!(process.asked(0).owner, first, "its place is there");
    process.answer(at(601), 0, granted(20));
    assert_ne!(process.asked(1).owner, before);
}

/// The first server hands its queue's lease over, and the others are asked after that.
#[test]
fn a_handoff_lasts_as_long_as_its_majority() {
    let mut process = Process::new();
    process.ask(at(0), acquire(IfHeld::Queue));
    process.answer(at(1), 0, HELD);
    assert!(matches!(process.answered(), Some(Ok(Reply::Held { .. }))));
    let waiter = process.asked(0).owner.clone();
    let handed = Granted::new(80..84, true);
    let lasts = (at(900), CLAIM.ttl);
    process
        .ballots
        .on_handoff(at(930), 0, &waiter, handed, lasts);
    process.settle();
    process.answer(at(950), 1, granted(80));
    let told = process.told.pop().unwrap();
    let Event::HandedOver {
        since,
        ttl,
        granted,
        ..
    } = told
    else {
        panic!("{told:?}");
    };
    assert_eq!((since, ttl), lasts);
    assert_eq!(granted.tokens, 80..84);
    assert!(granted.contended);
}

#[test]
fn an_answer_to_an_earlier_step_does_not_count() {
    let mut process = Process::new();
    process.ask(at(0), acquire(IfHeld::Refuse));
    let early: Vec<AttemptId> = (0..3).map(|member| process.asked(member).id).collect();
    process.ask(at(4000), acquire(IfHeld::Refuse));
    for (member, id) in early.into_iter().enumerate() {
        process.outcome(at(4001), member, id, Ok(granted(10)));
    }
    assert!(process.answered().is_none(), "these leases end at 10 s");
    process.answer(at(4002), 0, granted(10));
    process.answer(at(4002), 1, granted(10));
    assert!(matches!(process.answered(), Some(Ok(Reply::Granted(_)))));
}

/// What comes when the majority's leases are over may be younger than another owner's lease.
#[test]
fn a_renewal_that_is_answered_late_keeps_nothing() {
    for (at_millis, is_kept) in [(9_800, true), (9_950, false)] {
        let mut process = Process::new();
        process.ask(at(0), acquire(IfHeld::Refuse));
        process.answer(at(1), 0, granted(10));
        process.answer(at(1), 1, granted(10));
        assert!(matches!(process.answered(), Some(Ok(Reply::Granted(_)))));
        let end = timing::validity_end(at(0), TTL);
        assert!((at(9_800) < end) && (at(9_950) > end));
        process.ask(at(9_790), Op::Renew { ttl: TTL });
        for member in [0, 1] {
            process.answer(at(at_millis), member, Reply::Renewed { contended: false });
        }
        let answer = process.answered();
        let renewed = Reply::Renewed { contended: false };
        let expected = if is_kept { renewed } else { Reply::Gone };
        assert!(matches!(answer, Some(Ok(reply)) if reply == expected));
    }
}

#[test]
fn a_lease_is_taken_where_it_was_missing_and_counts_there() {
    let mut process = Process::new();
    process.ask(at(0), acquire(IfHeld::Refuse));
    process.answer(at(1), 0, granted(10));
    process.answer(at(1), 1, granted(10));
    assert!(matches!(process.answered(), Some(Ok(Reply::Granted(_)))));
    process.ask(at(3000), Op::Renew { ttl: TTL });
    process.answer(at(3001), 2, granted(30));
    process.answer(at(3001), 0, Reply::Renewed { contended: false });
    process.answer(at(3001), 1, Reply::Renewed { contended: false });
    assert!(matches!(
        process.answered(),
        Some(Ok(Reply::Renewed { .. }))
    ));
    // One of the first two is gone, and the third one keeps the majority.
    process.ask(at(6000), Op::Renew { ttl: TTL });
    process.answer(at(6001), 0, Reply::Gone);
    process.answer(at(6001), 1, Reply::Renewed { contended: false });
    process.answer(at(6001), 2, Reply::Renewed { contended: false });
    assert!(matches!(
        process.answered(),
        Some(Ok(Reply::Renewed { .. }))
    ));
}

#[test]
fn a_release_that_is_not_confirmed_is_sent_again_once_the_server_answers() {
    let mut process = Process::new();
    process.ask(at(0), acquire(IfHeld::Refuse));
    for member in 0..3 {
        process.answer(at(1), member, granted(10));
    }
    assert!(matches!(process.answered(), Some(Ok(Reply::Granted(_)))));
    process.ask(
        at(2),
        Op::Release {
            leave_queue: false,
            tombstone: None,
            keep: None,
        },
    );
    process.answer(at(3), 0, Reply::Released);
    process.answer(at(3), 1, Reply::Released);
    let kept = process.asked(2).owner.clone();
    process.ballots.on_time(at(500));
    process.settle();
    assert!(matches!(process.answered(), Some(Ok(Reply::Released))));
    assert!(process.ballots.is_idle());
    let error = BackendError::new(BackendErrorKind::Unreachable, "gone");
    let failure = Failure::outcome_unknown(error);
    process.outcome(at(501), 2, process.asked(2).id, Err(failure));
    process.ballots.desk.give_back_again(at(600), 2);
    process.settle();
    assert_eq!(process.asked(2).owner, kept);
    assert!(matches!(process.asked(2).op, Op::Release { .. }));
    process.answer(at(601), 2, Reply::Released);
    let before = process.sent.len();
    process.ballots.desk.give_back_again(at(700), 2);
    process.settle();
    assert_eq!(process.sent.len(), before);
}
