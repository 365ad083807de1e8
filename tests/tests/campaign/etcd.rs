//! Three members of etcd.

use lockattr_tests::Deployment::Etcd;
use lockattr_tests::campaign::Disturbance::{HandOver, HangMaster, KillMaster};

/// Members are killed and stopped, the leader too.
#[test]
fn all_disturbances_that_etcd_survives() {
    super::survives_everything(Etcd, 61);
}

#[test]
fn changes_of_the_leader_let_no_two_in() {
    super::survives_successions(Etcd, 62, &[KillMaster, HangMaster, HandOver]);
}

#[test]
fn every_process_has_its_turns_on_etcd() {
    super::every_process_has_its_turns(Etcd, 63);
}
