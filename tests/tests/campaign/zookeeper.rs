//! Three servers of `ZooKeeper`.

use std::time::Duration;

use lockattr_tests::Deployment::ZooKeeper;
use lockattr_tests::campaign::{Campaign, Disturbance};

use super::{campaign, clean_until};

fn on_zookeeper(seed: u64, disturbances: &[Disturbance]) -> Campaign {
    Campaign {
        // Four sessions' worth of ticks, which a busy machine may miss.
        ttl: Duration::from_secs(1),
        duration: Duration::from_secs(20),
        ..campaign(ZooKeeper, seed, disturbances)
    }
}

#[test]
fn all_disturbances_that_zookeeper_survives() {
    let campaign = Campaign {
        keys: 8,
        ..on_zookeeper(71, &Disturbance::survivable(ZooKeeper))
    };
    clean_until(&campaign, "much was granted and given up", |s| {
        s.grants > 1000 && s.cancelled > 0
    });
}

#[test]
fn all_disturbances_that_readers_and_writers_survive_on_zookeeper() {
    let campaign = Campaign {
        keys: 6,
        tasks: 10,
        dwell: Duration::from_millis(20),
        modes: true,
        ..on_zookeeper(72, &Disturbance::survivable(ZooKeeper))
    };
    clean_until(&campaign, "much was granted and given up", |s| {
        s.grants > 1000 && s.cancelled > 0
    });
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
        dwell: Duration::from_millis(300),
        ..on_zookeeper(73, &losses)
    };
    clean_until(&campaign, "much was granted", |s| s.grants > 200);
}
