//! Calls that ask for confirmation, and calls that ask for more or less of it.

use super::*;
use crate::backend::Confirmation;

impl Fixture {
    fn confirmed(&self, replicas: u8) -> Terms {
        let confirmation = (replicas > 0).then_some(Confirmation {
            replicas,
            fsync: false,
            within: MILLI,
        });
        Terms {
            confirmation,
            ..self.terms()
        }
    }

    /// The first call asks for a lease, confirmed by so many replicas.
    fn first(&mut self, replicas: u8) -> (u64, LeaseId) {
        match self.join(self.confirmed(replicas), "a") {
            Joined::First {
                waiter,
                order: Order::Ask { id, .. },
                ..
            } => (waiter, id),
            _ => panic!("it is the first"),
        }
    }
}

/// The lease was asked for by a waiter that has left since.
#[test]
fn a_lease_does_not_go_to_a_front_that_asks_for_more_confirmation() {
    for (had, wanted, goes) in [(0, 1, false), (1, 2, false), (2, 1, true), (1, 0, true)] {
        let mut f = Fixture::new(64);
        let (waiter, id) = f.first(had);
        f.join(f.confirmed(wanted), "b");
        f.queues.leave(&f.line.clone(), waiter);
        let adopted = f.queues.adopt(&f.line.clone(), id);
        assert_eq!(adopted.is_some(), goes, "{had} {wanted}");
        let granted = f.grant(id, 7..71);
        if goes {
            assert_eq!(passed(granted), ("b", 7));
        } else {
            next_ask(granted);
        }
    }
}

#[test]
fn a_lease_is_passed_on_only_to_calls_that_ask_for_the_same_confirmation() {
    for (had, wanted) in [(0, 1), (1, 2), (2, 1)] {
        let mut f = Fixture::new(64);
        let (_, id) = f.first(had);
        f.join(f.confirmed(had), "b");
        f.join(f.confirmed(wanted), "c");
        assert_eq!(passed(f.grant(id, 7..71)), ("a", 7));
        assert_eq!(passed(f.release(id)), ("b", 8));
        next_ask(f.release(id));
    }
}
