//! Many processes whose histories are checked from outside.

mod cluster;
mod confirmed;
mod etcd;
mod postgres;
mod quorum;
mod sentinel;
mod single;
mod zookeeper;

use std::time::Duration;

use lockattr_tests::Deployment;
use lockattr_tests::campaign::{Campaign, Disturbance};
use lockattr_tests::history::Summary;

fn campaign(deployment: Deployment, seed: u64, disturbances: &[Disturbance]) -> Campaign {
    Campaign {
        disturbances: disturbances.to_vec(),
        ..Campaign::new(env!("CARGO_BIN_EXE_campaign"), deployment, seed)
    }
}

#[track_caller]
fn clean(campaign: &Campaign) -> Summary {
    let outcome = campaign.run();
    println!("seed {}: {outcome}", campaign.seed);
    assert!(outcome.is_clean(), "seed {}: {outcome}", campaign.seed);
    outcome.verdict.summary
}

/// Runs campaigns with one seed after the other, until the expected effect has happened: without
/// it, a clean history would prove nothing.
#[track_caller]
fn clean_until(campaign: &Campaign, what: &str, happened: impl Fn(&Summary) -> bool) -> Summary {
    let mut total = Summary::default();
    for round in 0..12 {
        let seed = campaign.seed + 1000 * round;
        total += clean(&Campaign {
            seed,
            ..campaign.clone()
        });
        if happened(&total) {
            return total;
        }
    }
    panic!("it never happened that {what}: {total:?}");
}

/// All at which no two leases are valid.
#[track_caller]
fn survives_everything(deployment: Deployment, seed: u64) {
    let campaign = Campaign {
        duration: Duration::from_secs(25),
        keys: 8,
        ..campaign(deployment, seed, &Disturbance::survivable(deployment)).durable()
    };
    let what = "much was granted and given up";
    clean_until(&campaign, what, |s| s.grants > 1000 && s.cancelled > 0);
}

/// As [`survives_everything`], with readers and writers on some keys, and permits on others.
#[track_caller]
fn survives_everything_together(deployment: Deployment, seed: u64) {
    let campaign = Campaign {
        duration: Duration::from_secs(20),
        keys: 6,
        tasks: 10,
        dwell: Duration::from_millis(20),
        modes: true,
        ..campaign(deployment, seed, &Disturbance::survivable(deployment)).durable()
    };
    let what = "much was granted and given up";
    clean_until(&campaign, what, |s| s.grants > 1000 && s.cancelled > 0);
}

/// A master is cut off from its clients, or from the other servers, and is not replaced.
#[track_caller]
fn survives_partitions(deployment: Deployment, seed: u64) {
    let partitions = [
        Disturbance::CutOffFromClients,
        Disturbance::CutOffFromServers,
    ];
    let campaign = Campaign {
        duration: Duration::from_secs(12),
        keys: 8,
        dwell: Duration::from_millis(300),
        ..campaign(deployment, seed, &partitions)
    };
    let what = "a partition outlived leases";
    clean_until(&campaign, what, |s| s.grants > 300 && s.overdue > 0);
}

/// A server's successor has all that was granted.
#[track_caller]
fn survives_successions(deployment: Deployment, seed: u64, successions: &[Disturbance]) {
    let campaign = Campaign {
        // A body outlives the succession, with the lease that the old server granted.
        ttl: Duration::from_secs(4),
        dwell: Duration::from_secs(2),
        tasks: 12,
        keys: 24,
        duration: Duration::from_secs(15),
        ..campaign(deployment, seed, successions)
    };
    clean_until(&campaign, "some were granted", |s| s.grants > 150);
}

/// The ttl is so long that no lease lapses just because the machine is busy.
#[track_caller]
fn every_process_has_its_turns(deployment: Deployment, seed: u64) {
    let campaign = Campaign {
        ttl: Duration::from_secs(1),
        ..campaign(deployment, seed, &[])
    };
    let what = "much was granted";
    clean_until(&campaign, what, |s| s.grants > 500 && s.cancelled > 0);
}

#[track_caller]
fn survives_a_rolling_restart(deployment: Deployment, seed: u64) {
    let campaign = campaign(deployment, seed, &[Disturbance::RestartOneByOne]);
    clean_until(&campaign, "much was granted", |s| s.grants > 500);
}

/// A campaign in which replicas take the master's place without having all its data.
fn failovers(deployment: Deployment, seed: u64) -> Campaign {
    // Most of what lets two in: a process that stays with the old master.
    let isolations = [Disturbance::IsolateMaster; 4];
    let disturbances = [Disturbance::PROMOTIONS, isolations].concat();
    Campaign {
        passes_on: false,
        tasks: 12,
        keys: 24,
        // A body outlives the failover, with the lease that the old master granted.
        ttl: Duration::from_secs(5),
        dwell: Duration::from_secs(4),
        duration: Duration::from_secs(20),
        ..campaign(deployment, seed, &disturbances)
    }
}

#[track_caller]
fn failovers_let_two_in(deployment: Deployment, seed: u64) {
    let what = "two leases were valid, and a write refused";
    clean_until(&failovers(deployment, seed), what, |s| {
        s.both_valid > 0 && s.rejected > 0
    });
}
