//! A cluster of three masters with a replica each.

use std::time::Duration;

use lockattr_tests::Deployment::Cluster;
use lockattr_tests::campaign::{Campaign, Disturbance};

use super::{campaign, clean_until};

/// Of failovers, those that lose nothing are among them.
#[test]
fn all_disturbances_that_a_cluster_survives() {
    let campaign = Campaign {
        duration: Duration::from_secs(25),
        keys: 8,
        ..campaign(Cluster, 22, &Disturbance::survivable(Cluster)).durable()
    };
    let what = "much was granted and given up";
    clean_until(&campaign, what, |s| s.grants > 1000 && s.cancelled > 0);
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
    let partitions = [
        Disturbance::CutOffFromClients,
        Disturbance::CutOffFromServers,
    ];
    let campaign = Campaign {
        duration: Duration::from_secs(12),
        keys: 8,
        dwell: Duration::from_millis(300),
        ..campaign(Cluster, 24, &partitions)
    };
    let what = "a partition outlived leases";
    clean_until(&campaign, what, |s| s.grants > 300 && s.overdue > 0);
}

#[test]
fn a_cluster_s_nodes_are_restarted_one_by_one() {
    let campaign = campaign(Cluster, 25, &[Disturbance::RestartOneByOne]);
    clean_until(&campaign, "much was granted", |s| s.grants > 500);
}

#[test]
fn failovers_of_a_cluster_let_two_in_but_tokens_grow() {
    let campaign = Campaign {
        passes_on: false,
        keys: 6,
        // So long that the latest leases of the old master are valid when there is a new one.
        ttl: Duration::from_millis(1500),
        dwell: Duration::from_millis(600),
        duration: Duration::from_secs(20),
        ..campaign(Cluster, 26, &Disturbance::forgetting(Cluster))
    };
    let what = "two leases were valid, and a write refused";
    clean_until(&campaign, what, |s| s.both_valid > 0 && s.rejected > 0);
}
