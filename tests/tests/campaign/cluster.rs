//! A cluster of three masters with a replica each.

use std::time::Duration;

use lockattr_tests::Deployment::Cluster;
use lockattr_tests::campaign::{Campaign, Disturbance};

use super::{campaign, clean_until};

/// Of failovers, those that lose nothing are among them.
#[test]
fn all_disturbances_that_a_cluster_survives() {
    super::survives_everything(Cluster, 22);
}

#[test]
fn readers_writers_and_permits_on_a_cluster() {
    super::survives_everything_together(Cluster, 27);
}

#[test]
fn slots_move_under_sixty_four_tasks() {
    let campaign = Campaign {
        duration: Duration::from_secs(10),
        processes: 4,
        tasks: 16,
        keys: 6,
        dwell: Duration::from_millis(20),
        ..campaign(Cluster, 23, &[Disturbance::MoveSlot])
    };
    clean_until(&campaign, "much was granted", |s| s.grants > 500);
}

#[test]
fn a_cluster_s_master_is_cut_off_from_its_clients_or_the_other_nodes() {
    super::survives_partitions(Cluster, 24);
}

#[test]
fn a_cluster_s_nodes_are_restarted_one_by_one() {
    super::survives_a_rolling_restart(Cluster, 25);
}

#[test]
fn failovers_of_a_cluster_let_two_in_but_tokens_grow() {
    super::failovers_let_two_in(Cluster, 26);
}
