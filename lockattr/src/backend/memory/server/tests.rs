use std::ops::Range;

use super::*;
use crate::backend::{AttemptId, LeaseId};
use crate::backend::{Claim, OwnerIds};
use crate::label::Label;
use crate::mode::Mode;

const TTL: Duration = Duration::from_secs(10);
const CLAIM: Claim = Claim {
    ttl: Duration::from_secs(1),
    tokens: 3,
};
const ACQUIRE: Op = Op::Acquire {
    ttl: TTL,
    if_held: IfHeld::Queue,
};
const LEAVE: Op = Op::Release {
    leave_queue: true,
    tombstone: None,
    keep: None,
};
const RELEASE: Op = Op::Release {
    leave_queue: false,
    tombstone: None,
    keep: None,
};

fn granted(tokens: Range<u64>) -> Reply {
    Reply::Granted(Granted {
        tokens,
        contended: false,
    })
}

fn ends_in(reply: &Reply) -> Option<Duration> {
    match reply {
        Reply::Held { ends_in, .. } => Some(*ends_in),
        _ => None,
    }
}

struct Fixture {
    server: Server<u8>,
    delivered: Vec<Handoff<u8>>,
    now: Time,
}

impl Fixture {
    fn new() -> Self {
        Self {
            server: Server::new(100),
            delivered: Vec::new(),
            now: Time::from_nanos(1),
        }
    }

    fn owner(n: u64) -> OwnerId {
        OwnerIds::from_bits([0; 16]).first(LeaseId(n))
    }

    fn execute(&mut self, n: u64, op: Op) -> Reply {
        let id = AttemptId {
            lease: LeaseId(n),
            number: 0,
        };
        let attempt = Attempt {
            id,
            key: Key::new("k").unwrap(),
            owner: Self::owner(n),
            claim: CLAIM,
            label: Label::here(),
            op,
            confirmation: None,
            mode: Mode::Exclusive,
            least_token: 0,
        };
        let delivered = &mut self.delivered;
        // Waiter 9 is gone.
        self.server
            .execute(self.now, &attempt, u8::try_from(n).unwrap(), |handoff| {
                let there = handoff.waiter != 9;
                delivered.extend(there.then_some(handoff));
                there
            })
    }

    fn acquire(&mut self, n: u64) -> Reply {
        self.execute(n, ACQUIRE)
    }
}

#[test]
fn the_queue_is_fifo_skips_dead_waiters_and_leaves_nothing() {
    let mut f = Fixture::new();
    assert_eq!(f.acquire(1), granted(101..104));
    for waiter in [9, 2, 3] {
        assert_eq!(ends_in(&f.acquire(waiter)), Some(TTL));
    }
    f.execute(3, LEAVE);
    f.execute(1, RELEASE);
    assert_eq!(
        f.delivered,
        [Handoff {
            waiter: 2,
            owner: Fixture::owner(2),
            granted: Granted {
                tokens: 107..110,
                contended: false
            },
            ttl: CLAIM.ttl
        }]
    );
    f.execute(1, RELEASE);
    assert_eq!(f.acquire(2), granted(107..108));
    f.execute(2, RELEASE);
    assert!(f.server.is_idle());
}

#[test]
fn a_waiter_that_does_not_claim_costs_the_claim_and_no_more() {
    let mut f = Fixture::new();
    f.acquire(1);
    f.acquire(2);
    f.acquire(3);
    f.execute(1, RELEASE);
    f.now = f.now + CLAIM.ttl;
    f.acquire(4);
    assert_eq!(f.delivered.last().unwrap().waiter, 3);
    let renew = Op::Renew { ttl: TTL };
    assert_eq!(f.execute(2, renew), Reply::Gone);
    assert_eq!(f.execute(2, Op::Reserve { tokens: 2 }), Reply::Gone);
    assert_eq!(f.execute(3, renew), Reply::Renewed { contended: true });
    let tokens = f.execute(3, Op::Reserve { tokens: 2 });
    let more = Granted {
        tokens: 110..112,
        contended: true,
    };
    assert_eq!(tokens, Reply::Reserved(more));
}

#[test]
fn an_acquire_that_is_refused_takes_no_place() {
    let mut f = Fixture::new();
    let once = Op::Acquire {
        ttl: TTL,
        if_held: IfHeld::Refuse,
    };
    assert_eq!(f.execute(1, once), granted(101..104));
    assert_eq!(ends_in(&f.execute(2, once)), Some(TTL));
    f.execute(1, RELEASE);
    assert!(f.delivered.is_empty() && f.server.is_idle());
}

#[test]
fn a_lease_ends_and_is_not_revived() {
    let mut f = Fixture::new();
    f.acquire(1);
    f.now = f.now + TTL / 2;
    let shorter = Op::Renew { ttl: TTL / 10 };
    let renewed = Reply::Renewed { contended: false };
    assert_eq!(f.execute(1, shorter), renewed, "never ends it sooner");
    f.now = f.now + TTL / 2;
    assert_eq!(f.execute(1, Op::Renew { ttl: TTL }), Reply::Gone);
    assert_eq!(f.acquire(2), granted(104..107));
}

#[test]
fn a_tombstone_stops_an_acquire_that_comes_late() {
    let mut f = Fixture::new();
    f.execute(
        1,
        Op::Release {
            leave_queue: true,
            tombstone: Some(TTL),
            keep: None,
        },
    );
    assert_eq!(f.acquire(1), Reply::Tombstoned);
    assert!(f.server.is_idle());
    f.now = f.now + TTL;
    assert_eq!(f.acquire(1), granted(101..104));
}
