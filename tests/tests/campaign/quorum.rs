//! Three servers that know nothing of each other.

use std::time::Duration;

use lockattr_tests::Deployment::Quorum;
use lockattr_tests::campaign::{Campaign, Disturbance};

use super::{campaign, clean_until};

#[test]
fn all_disturbances_that_a_quorum_survives() {
    super::survives_everything(Quorum, 42);
}

#[test]
fn a_server_of_a_quorum_is_cut_off() {
    let campaign = Campaign {
        // So long that an answer may take a quarter of a second on a busy machine.
        ttl: Duration::from_secs(2),
        duration: Duration::from_secs(15),
        ..campaign(Quorum, 43, &[Disturbance::CutOffFromClients])
    };
    let summary = clean_until(&campaign, "much was granted", |s| s.grants > 500);
    // The others are a majority. A machine may stand still for longer than they may take.
    assert!(summary.unserved < summary.grants / 50, "{summary:?}");
}

#[test]
fn servers_of_a_quorum_are_restarted_one_by_one() {
    let durable = campaign(Quorum, 44, &[Disturbance::RestartOneByOne]).durable();
    clean_until(&durable, "much was granted", |s| s.grants > 500);
}

/// All that a majority had is forgotten, one server after the other.
#[test]
fn a_quorum_that_forgets_lets_two_in_but_tokens_grow() {
    let campaign = Campaign {
        passes_on: false,
        tasks: 12,
        keys: 8,
        dwell: Duration::from_millis(500),
        duration: Duration::from_secs(10),
        ..campaign(Quorum, 45, &[Disturbance::LoseData; 2])
    };
    let what = "two leases were valid, and a write refused";
    clean_until(&campaign, what, |s| s.both_valid > 0 && s.rejected > 0);
}
