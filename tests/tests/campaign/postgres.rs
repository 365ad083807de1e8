//! `PostgreSQL` with a synchronous standby.

use lockattr_tests::Deployment::Postgres;
use lockattr_tests::campaign::Disturbance::{HandOver, TakeOver};

/// Failovers are among them: the standby has all that was granted.
#[test]
fn all_disturbances_that_postgres_survives() {
    super::survives_everything(Postgres, 52);
}

#[test]
fn readers_writers_and_permits_on_postgres() {
    super::survives_everything_together(Postgres, 53);
}

#[test]
fn failovers_of_postgres_let_no_two_in() {
    super::survives_successions(Postgres, 54, &[TakeOver, HandOver]);
}

#[test]
fn every_process_has_its_turns_on_postgres() {
    super::every_process_has_its_turns(Postgres, 51);
}
