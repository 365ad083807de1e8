//! Three servers of `ZooKeeper`.

use std::time::Duration;

use lockattr_tests::Deployment::ZooKeeper;
use lockattr_tests::campaign::{Campaign, Disturbance};

use super::{campaign, clean_until};

#[test]
fn all_disturbances_that_zookeeper_survives() {
    super::survives_everything(ZooKeeper, 71);
}

#[test]
fn all_disturbances_that_readers_and_writers_survive_on_zookeeper() {
    super::survives_everything_together(ZooKeeper, 72);
}

/// The server that a process talks to is cut off from the others, and goes on answering for a while.
#[test]
fn a_leader_of_zookeeper_is_lost() {
    let losses = [
        Disturbance::IsolateMaster,
        Disturbance::KillMaster,
        Disturbance::HangMaster,
    ];
    let campaign = Campaign {
        duration: Duration::from_secs(20),
        dwell: Duration::from_millis(300),
        ..campaign(ZooKeeper, 73, &losses)
    };
    clean_until(&campaign, "much was granted", |s| s.grants > 200);
}
