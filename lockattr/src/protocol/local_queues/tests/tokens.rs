//! More tokens for a lease that is passed on.

use super::*;

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
        let line = f.line.clone();
        let granted = Granted {
            tokens: 10..12,
            contended,
        };
        f.now = f.now + MILLI * 4;
        f.queues.reserved(f.now, &line, id, granted);
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
    let line = f.line.clone();
    for start in [10, 20, 30] {
        let granted = Granted {
            tokens: start..start + 1,
            contended: false,
        };
        f.queues.reserved(f.now, &line, id, granted);
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
