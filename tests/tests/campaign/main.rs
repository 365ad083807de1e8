//! Many processes whose histories are checked from outside.

mod cluster;
mod sentinel;
mod single;

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
