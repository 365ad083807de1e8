//! Services on which a lease cannot be renewed for longer than it was asked for.

use super::*;

/// The lease was asked for by a waiter that has left since.
#[test]
fn a_lease_does_not_go_to_a_front_that_needs_a_longer_one() {
    for (can_grow, wanted, goes) in [
        (false, TTL * 2, false),
        (false, TTL, true),
        (false, TTL / 2, true),
        (true, TTL * 2, true),
    ] {
        let mut f = Fixture::new(64);
        f.queues.longer_renewals = can_grow;
        let Joined::First {
            waiter,
            order: Order::Ask { id, .. },
        } = f.join(f.terms(), "a")
        else {
            panic!("it is the first");
        };
        let longer = Terms {
            ttl: wanted,
            ..f.terms()
        };
        f.join(longer, "b");
        f.queues.leave(&f.line.clone(), waiter);
        f.queues.adopt(&f.line.clone(), id);
        let granted = f.grant(id, 7..71);
        if goes {
            assert_eq!(passed(granted), ("b", 7), "{can_grow} {wanted:?}");
        } else {
            next_ask(granted);
        }
    }
}
