//! A master, two replicas and three sentinels.

use lockattr_tests::Deployment::Sentinel;

/// Of failovers, those that lose nothing are among them.
#[test]
fn all_disturbances_that_sentinels_survive() {
    super::survives_everything(Sentinel, 12);
}

#[test]
fn a_sentinel_master_is_cut_off_from_its_clients_or_its_replicas() {
    super::survives_partitions(Sentinel, 13);
}

#[test]
fn servers_behind_sentinels_are_restarted_one_by_one() {
    super::survives_a_rolling_restart(Sentinel, 14);
}

#[test]
#[ignore = "some minutes, and longer where the sentinels stand still; run nightly"]
fn failovers_of_sentinels_let_two_in_but_tokens_grow() {
    super::failovers_let_two_in(Sentinel, 15);
}
