//! What is executed or arrives after its acquisition has given up or gone on.

use super::*;

#[test]
fn after_a_tombstone_an_acquisition_asks_under_a_new_owner_id() {
    let mut f = Fixture::new(8);
    f.asks(1, Wait::Forever);
    let first = f.sends().unwrap();
    f.answers(&first, Ok(Reply::Tombstoned));
    let second = f.sends().unwrap();
    assert_ne!(first.owner, second.owner);
    f.keeper.release(f.now, LeaseId(1));
    f.answers(&second, Ok(Reply::Tombstoned));
    assert!(matches!(f.told()[..], [(1, Notice::Withdrawn)]));
    assert_eq!(f.keeper.unfinished(), 0);
}

/// The abandoned attempt may still be granted.
#[test]
fn an_acquire_that_may_be_executed_later_meets_a_tombstone() {
    let mut f = Fixture::new(8);
    f.asks(1, Wait::Forever);
    f.sends().unwrap();
    f.is_handed(1, f.now);
    f.told();
    f.keeper.extend(f.now, LeaseId(1), 1, TTL);
    f.hears(Reply::Gone);
    f.keeper.release(f.now, LeaseId(1));
    let attempt = f.sends().unwrap();
    assert!(matches!(
        attempt.op,
        Op::Release {
            tombstone: Some(_),
            ..
        }
    ));
}

/// The acquire stood in its lane when the lease came.
#[test]
fn an_acquisition_that_was_handed_its_lease_sends_no_acquire() {
    let mut f = Fixture::new(1);
    f.waits(1);
    f.asks(2, Wait::Forever);
    let other = f.sends().unwrap();
    f.keeper.on_event(f.now, Event::Reconnected);
    f.is_handed(1, f.now);
    f.answers(
        &other,
        Ok(Reply::Held {
            ends_in: HOUR,
            holder: None,
        }),
    );
    assert!(f.sends().is_none());
}

#[test]
fn after_a_late_handoff_an_acquisition_asks_under_a_new_owner_id() {
    let too_late = Duration::from_millis(390);
    for (outcome, goes_on) in [(Ok(Reply::Released), true), (Err(failure(true)), false)] {
        let mut f = Fixture::new(8);
        f.asks(1, Wait::Forever);
        let first = f.sends().unwrap();
        f.answers(
            &first,
            Ok(Reply::Held {
                ends_in: HOUR,
                holder: None,
            }),
        );
        f.told();
        let since = f.now;
        f.now = f.now + too_late;
        f.is_handed(1, since);
        let release = f.sends().unwrap();
        f.answers(&release, outcome);
        let next = f.sends().unwrap();
        let told = f.told();
        if goes_on {
            assert!(matches!(next.op, Op::Acquire { .. }) && next.owner != first.owner);
            assert!(told.is_empty(), "{told:?}");
        } else {
            assert!(matches!(next.op, Op::Release { .. }));
            assert!(matches!(told[..], [(1, Notice::Failed(_))]), "{told:?}");
        }
    }
}

#[test]
fn a_late_handoff_is_released_although_its_caller_left() {
    let mut f = Fixture::new(8);
    f.waits(1);
    let since = f.now;
    f.now = f.now + Duration::from_millis(390);
    f.is_handed(1, since);
    let attempt = f.sends().unwrap();
    assert!(matches!(attempt.op, Op::Release { .. }));
    f.keeper.release(f.now, LeaseId(1));
    f.answers(&attempt, Ok(Reply::Released));
    assert_eq!(f.keeper.unfinished(), 0);
}
