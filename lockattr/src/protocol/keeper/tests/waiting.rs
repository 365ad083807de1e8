//! Acquisitions that wait: places in the queue, polling, and asking again.

use super::*;

/// A place in the queue waits for the key; a call that tries once, or polls, leaves no place
/// behind.
#[test]
fn only_a_waiter_takes_a_place_in_the_queue() {
    let place = |f: &mut Fixture, wait| {
        f.asks(1, wait);
        let attempt = f.sends().unwrap();
        f.answers(
            &attempt,
            Ok(Reply::Held {
                ends_in: HOUR,
                holder: None,
            }),
        );
        match attempt.op {
            Op::Acquire { if_held, .. } => if_held,
            op => panic!("{op:?}"),
        }
    };
    let mut f = Fixture::new(8);
    assert_eq!(place(&mut f, Wait::For(Duration::ZERO)), IfHeld::Refuse);
    let told = f.told();
    assert!(
        matches!(
            told[..],
            [
                (1, Notice::Failed(Error::Busy { .. })),
                (1, Notice::Withdrawn)
            ]
        ),
        "no place is to be left: {told:?}"
    );
    assert_eq!(place(&mut f, Wait::Forever), IfHeld::Queue);
    let mut polled = Fixture::of(8, Capabilities::default());
    assert_eq!(place(&mut polled, Wait::Forever), IfHeld::Refuse);
    polled.keeper.release(polled.now, LeaseId(1));
    assert!(polled.sends().is_none());
    assert_eq!(polled.keeper.unfinished(), 0);
}

/// The place outlives the ttl, which is shorter than the pause until the waiter asks again.
#[test]
fn a_place_is_given_up_although_the_ttl_of_the_last_question_is_over() {
    let mut f = Fixture::new(8);
    let ttl = Duration::from_millis(50);
    let terms = Terms { ttl, ..terms() };
    f.keeper.acquire(f.now, LeaseId(1), terms.into(), 1);
    f.hears(Reply::Held {
        ends_in: HOUR,
        holder: None,
    });
    f.after(ttl * 10);
    assert!(f.sends().is_none(), "it asks again later");
    f.keeper.release(f.now, LeaseId(1));
    f.after(Duration::ZERO);
    let attempt = f.sends().expect("the place is given up");
    let gives_up = |op| matches!(op, Op::Release { leave_queue, .. } if leave_queue);
    assert!(gives_up(attempt.op), "{:?}", attempt.op);
    f.answers(&attempt, Ok(Reply::Released));
    assert!(matches!(f.told().last(), Some((1, Notice::Released))));
}

#[test]
fn a_pool_polls_a_service_without_a_queue_with_growing_pauses() {
    let (first, last) = (Duration::from_millis(10), Duration::from_millis(250));
    let capabilities = || Capabilities::default().with_poll_pauses(first..=last);
    let mut f = Fixture::of(512, capabilities());
    f.asks(1, Wait::Forever);
    let mut longest = Duration::ZERO;
    for round in 0..12 {
        f.hears(Reply::Held {
            ends_in: HOUR,
            holder: None,
        });
        assert!(f.sends().is_none());
        let pause = f.keeper.wakeup().since(f.now);
        assert!(pause >= first / 2 && pause <= last, "{round}: {pause:?}");
        longest = longest.max(pause);
        f.after(pause);
    }
    assert!(longest > last / 2, "{longest:?}");
    // The lease ends before the next pause would, so the attempt comes right after its end.
    f.hears(Reply::Held {
        ends_in: first / 2,
        holder: None,
    });
    assert_eq!(
        f.keeper.wakeup(),
        f.now + first / 2 + Duration::from_millis(1)
    );

    let mut crowd = Fixture::of(512, capabilities());
    for id in 0..300 {
        crowd.asks(id, Wait::Forever);
    }
    for _ in 0..300 {
        crowd.hears(Reply::Held {
            ends_in: first,
            holder: None,
        });
    }
    assert!(crowd.keeper.wakeup() >= crowd.now + last * 3);
}

/// Others may wait without the service knowing it.
#[test]
fn a_lease_of_a_service_without_a_queue_counts_as_waited_for() {
    let mut f = Fixture::of(8, Capabilities::default());
    f.asks(1, Wait::Forever);
    f.hears(Reply::Granted(granted()));
    let told = f.told();
    let [(1, Notice::Acquired { granted, .. })] = &told[..] else {
        panic!("{told:?}");
    };
    assert!(granted.contended);
    f.after(TTL / 3);
    f.hears(RENEWED);
    let told = f.told();
    assert!(matches!(
        told[..],
        [(
            1,
            Notice::Renewed {
                contended: true,
                ..
            }
        )]
    ));
}

#[test]
fn after_a_lost_connection_waiters_ask_again() {
    let mut f = Fixture::new(8);
    f.holds(1);
    f.waits(2);
    assert!(f.sends().is_none());
    f.keeper.on_event(f.now, Event::Reconnected);
    let attempt = f.sends().unwrap();
    assert_eq!(attempt.id.lease, LeaseId(2));
    assert!(matches!(attempt.op, Op::Acquire { .. }));
    assert!(f.sends().is_none(), "a lease is not renewed for that");
}

#[test]
fn each_waiter_asks_less_often_the_more_wait() {
    let mut f = Fixture::new(1000);
    for id in 0..200 {
        f.asks(id, Wait::Forever);
    }
    for _ in 0..200 {
        f.hears(Reply::Held {
            ends_in: HOUR,
            holder: None,
        });
    }
    assert_eq!(f.keeper.wakeup(), f.now + Duration::from_millis(1200));
}

#[test]
fn held_and_ended_acquisitions_do_not_count_as_waiting() {
    let mut f = Fixture::new(1000);
    for id in 0..150 {
        f.holds(id);
    }
    for id in 150..300 {
        f.waits(id);
    }
    assert_eq!(f.keeper.wakeup(), f.now + TTL / 3, "renewals come first");
    for id in 0..300 {
        f.keeper.release(f.now, LeaseId(id));
        f.hears(Reply::Released);
    }
    f.told();
    f.waits(300);
    assert_eq!(f.keeper.wakeup(), f.now + Duration::from_millis(600));
}
