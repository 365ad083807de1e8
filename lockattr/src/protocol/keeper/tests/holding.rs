//! What happens to a lease that is held.

use super::*;

#[test]
fn a_renewal_that_fails_is_tried_again_soon_but_not_at_once() {
    let mut f = Fixture::new(8);
    f.holds(1);
    f.after(TTL / 3);
    let renewal = f.sends().unwrap();
    f.answers(&renewal, Err(failure(true)));
    assert!(matches!(f.told()[..], [(1, Notice::RenewalFailed(_))]));
    assert!(f.sends().is_none());
    assert_eq!(f.keeper.wakeup(), f.now + TTL / 20);
}

/// The server's ttl began somewhere between the sending and the answer.
#[test]
fn a_renewal_counts_from_its_sending() {
    let mut f = Fixture::new(8);
    f.holds(1);
    f.after(TTL / 3);
    let (renewal, sent_at) = (f.sends().unwrap(), f.now);
    f.after(TTL / 8);
    f.answers(&renewal, Ok(RENEWED));
    let told = f.told();
    let [(1, Notice::Renewed { valid_until, .. })] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(*valid_until, timing::validity_end(sent_at, TTL));
}

#[test]
fn each_extension_is_answered_whether_confirmed_or_failed() {
    let mut f = Fixture::new(1);
    f.holds(1);
    f.asks(2, Wait::Forever);
    f.sends().unwrap();
    f.keeper.extend(f.now, LeaseId(1), 10, 2 * TTL);
    let renewal = f.sends().expect("renewals do not stand in line");
    assert!(matches!(renewal.op, Op::Renew { ttl, .. } if ttl == 2 * TTL));
    // Requested after the renewal was sent.
    f.keeper.refill(f.now, LeaseId(1), 3);
    f.answers(&renewal, Ok(RENEWED));
    assert!(matches!(
        f.told()[..],
        [
            (1, Notice::Renewed { .. }),
            (
                1,
                Notice::Extended {
                    number: 10,
                    answer: Ok(())
                }
            )
        ]
    ));
    let refill = f.sends().unwrap();
    assert_eq!(refill.op, Op::Reserve { tokens: 3 });
    f.answers(&refill, Ok(Reply::Reserved(granted())));
    f.told();
    f.keeper.extend(f.now, LeaseId(1), 11, TTL);
    f.hears(Reply::Gone);
    assert!(matches!(
        f.told()[..],
        [
            (1, Notice::Lost(LossReason::Gone)),
            (
                1,
                Notice::Extended {
                    number: 11,
                    answer: Err(Error::Lost { .. })
                }
            )
        ]
    ));
    f.keeper.release(f.now, LeaseId(1));
    assert!(matches!(f.told()[..], [(1, Notice::Released)]));
    assert!(f.sends().is_none(), "nothing is there to be released");
}

fn answers_of(told: &[(u64, Notice)]) -> Vec<(u64, bool)> {
    let answers = told.iter().filter_map(|(_, notice)| match notice {
        Notice::Extended { number, answer } => Some((*number, answer.is_ok())),
        _ => None,
    });
    answers.collect()
}

/// A renewal that was sent before the extension was requested confirms nothing of it.
#[test]
fn an_extension_is_confirmed_by_a_renewal_that_was_sent_after_it() {
    let mut f = Fixture::new(8);
    f.holds(1);
    f.after(TTL / 3);
    let plain = f.sends().unwrap();
    f.keeper.extend(f.now, LeaseId(1), 1, 60 * TTL);
    f.keeper.extend(f.now, LeaseId(1), 2, 5 * TTL);
    assert!(f.sends().is_none(), "one attempt at a time");
    f.answers(&plain, Ok(RENEWED));
    assert_eq!(answers_of(&f.told()), []);
    let longer = f.sends().unwrap();
    assert!(
        matches!(longer.op, Op::Renew { ttl, .. } if ttl == 60 * TTL),
        "the longest"
    );
    f.keeper.extend(f.now, LeaseId(1), 3, 2 * TTL);
    f.answers(&longer, Ok(RENEWED));
    let told = f.told();
    assert_eq!(answers_of(&told), [(1, true), (2, true)]);
    let end = timing::validity_end(f.now, 60 * TTL);
    assert!(matches!(told[0].1, Notice::Renewed { valid_until, .. } if valid_until == end));
    f.hears(RENEWED);
    let told = f.told();
    assert_eq!(answers_of(&told), [(3, true)]);
    assert!(
        matches!(told[0].1, Notice::Renewed { valid_until, .. } if valid_until == end),
        "never shortened"
    );
}

/// The lease is as before: its next renewal asks for its own ttl, and without renewal there is
/// none.
#[test]
fn a_failed_extension_is_undone() {
    for renew in [true, false] {
        let mut f = Fixture::new(8);
        f.asks_for(1, Wait::Forever, renew, None);
        f.hears(Reply::Granted(granted()));
        f.told();
        f.keeper.extend(f.now, LeaseId(1), 1, 60 * TTL);
        let attempt = f.sends().unwrap();
        f.answers(&attempt, Err(failure(true)));
        assert_eq!(answers_of(&f.told()), [(1, false)]);
        f.after(TTL / 10);
        let next = f.sends();
        assert_eq!(next.is_some(), renew);
        if let Some(attempt) = next {
            assert!(matches!(attempt.op, Op::Renew { ttl, .. } if ttl == TTL));
        }
    }
}

#[test]
fn an_extension_past_max_hold_is_refused() {
    let mut f = Fixture::new(8);
    f.asks_for(1, Wait::Forever, true, Some(2 * TTL));
    f.hears(Reply::Granted(granted()));
    f.told();
    f.keeper.extend(f.now, LeaseId(1), 1, 3 * TTL);
    assert!(f.sends().is_none());
    assert_eq!(answers_of(&f.told()), [(1, false)]);
}

#[test]
fn a_release_answers_the_extensions_that_are_under_way() {
    let mut f = Fixture::new(8);
    f.holds(1);
    f.keeper.extend(f.now, LeaseId(1), 1, 2 * TTL);
    f.sends().unwrap();
    f.keeper.extend(f.now, LeaseId(1), 2, 2 * TTL);
    f.keeper.release(f.now, LeaseId(1));
    assert_eq!(answers_of(&f.told()), [(1, false), (2, false)]);
}

#[test]
fn a_lease_ends_by_its_ttl_or_by_max_hold() {
    let mut f = Fixture::new(8);
    f.asks_for(1, Wait::Forever, false, None);
    f.hears(Reply::Granted(granted()));
    f.asks_for(2, Wait::Forever, true, Some(TTL / 2));
    f.hears(Reply::Granted(granted()));
    f.told();
    f.after((TTL / 2).saturating_sub(Duration::from_nanos(1)));
    assert!(f.sends().is_none(), "neither is renewed");
    assert!(f.told().is_empty());
    f.after(Duration::from_nanos(1));
    assert!(matches!(
        f.told()[..],
        [(2, Notice::Lost(LossReason::MaxHold))]
    ));
    f.after(TTL / 2);
    assert!(matches!(
        f.told()[..],
        [(1, Notice::Lost(LossReason::Expired))]
    ));
}

#[test]
fn a_release_that_fails_is_told_once_and_goes_on() {
    let mut f = Fixture::new(8);
    f.holds(1);
    f.keeper.release(f.now, LeaseId(1));
    for told in [1, 0] {
        let attempt = f.sends().unwrap();
        f.answers(&attempt, Err(failure(true)));
        let notices = f.told();
        assert_eq!(notices.len(), told, "{notices:?}");
        f.after(Duration::from_millis(100));
    }
    f.hears(Reply::Released);
    assert!(matches!(f.told()[..], [(1, Notice::Released)]));
}

/// The machine was suspended: the clock has gone on, and the lease on the server has ended.
#[test]
fn after_a_suspend_a_lease_is_lost_and_not_renewed() {
    let mut f = Fixture::new(8);
    f.holds(1);
    f.after(TTL / 3);
    let renewal = f.sends().expect("it was due");
    f.after(HOUR);
    assert!(matches!(
        f.told()[..],
        [
            (1, Notice::RenewalFailed(_)),
            (1, Notice::Lost(LossReason::Expired))
        ]
    ));
    // The answer was on its way when the machine was suspended.
    f.answers(&renewal, Ok(RENEWED));
    assert!(f.told().is_empty() && f.sends().is_none());
}

/// A lease whose ttl became shorter keeps its earlier end on the server.
#[test]
fn a_release_is_not_given_up_before_the_longest_lease_is_over() {
    let mut f = Fixture::new(8);
    f.holds(1);
    f.keeper.extend(f.now, LeaseId(1), 1, TTL / 10);
    f.hears(RENEWED);
    f.told();
    f.keeper.release(f.now, LeaseId(1));
    f.sends().unwrap();
    f.after(TTL);
    assert_eq!(f.keeper.unfinished(), 1);
    f.after(TTL / 10);
    assert_eq!(f.keeper.unfinished(), 0);
    let told = f.told();
    assert!(
        matches!(told.last(), Some((1, Notice::ReleaseAbandoned))),
        "{told:?}"
    );
}

/// The caller that asked has given up, and the lease goes to a waiter with other terms.
#[test]
fn a_lease_is_held_on_the_terms_of_its_holder() {
    let adopt = |change: fn(Terms) -> Terms| {
        let mut f = Fixture::new(8);
        f.holds(1);
        let valid_until = f.keeper.adopt(f.now, LeaseId(1), change(terms()).into());
        (valid_until.expect("it is held").since(f.now), f)
    };
    let full = timing::validity_end(Time::from_nanos(0), TTL).since(Time::from_nanos(0));

    let (valid_for, mut longer) = adopt(|terms| Terms {
        ttl: TTL * 2,
        renew: false,
        ..terms
    });
    assert_eq!(valid_for, full);
    let renewal = longer.sends().expect("it is not that long yet");
    assert!(matches!(renewal.op, Op::Renew { ttl, .. } if ttl == TTL * 2));
    longer.answers(&renewal, Ok(RENEWED));
    longer.after(TTL);
    assert!(longer.sends().is_none(), "once is enough");

    let (valid_for, mut shorter) = adopt(|terms| Terms {
        ttl: TTL / 2,
        renew: false,
        ..terms
    });
    assert!(valid_for < TTL / 2, "{valid_for:?}");
    assert!(shorter.sends().is_none());
    shorter.after(TTL / 2);
    assert!(matches!(
        shorter.told()[..],
        [(1, Notice::Lost(LossReason::Expired))]
    ));

    let (valid_for, mut bounded) = adopt(|terms| Terms {
        max_hold: Some(TTL / 2),
        ..terms
    });
    assert_eq!(valid_for, TTL / 2);
    assert!(bounded.sends().is_none(), "it lasts for as long as it may");
    bounded.after(TTL / 2);
    assert!(matches!(
        bounded.told()[..],
        [(1, Notice::Lost(LossReason::MaxHold))]
    ));
    assert!(
        bounded
            .keeper
            .adopt(bounded.now, LeaseId(1), terms().into())
            .is_none()
    );
}
