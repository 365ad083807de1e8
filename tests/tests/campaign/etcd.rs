//! Three members of etcd.

use std::time::Duration;

use lockattr_tests::Deployment::Etcd;
use lockattr_tests::campaign::Disturbance::{HandOver, HangMaster, KillMaster};
use lockattr_tests::campaign::{Campaign, Disturbance};

use super::{campaign, clean_until};

/// Members are killed and stopped, the leader too.
#[test]
fn all_disturbances_that_etcd_survives() {
    let campaign = Campaign {
        duration: Duration::from_secs(25),
        keys: 8,
        // The shortest lease of etcd is a second longer than this.
        ttl: Duration::from_secs(1),
        ..campaign(Etcd, 61, &Disturbance::survivable(Etcd))
    };
    let what = "much was granted and given up";
    clean_until(&campaign, what, |s| s.grants > 1000 && s.cancelled > 0);
}

#[test]
fn changes_of_the_leader_let_no_two_in() {
    super::survives_successions(Etcd, 62, &[KillMaster, HangMaster, HandOver]);
}

#[test]
fn every_process_has_its_turns_on_etcd() {
    super::every_process_has_its_turns(Etcd, 63);
}
