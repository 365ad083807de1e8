//! Fleets on a quorum of servers in virtual time, all driven from one seed.
//!
//! Servers have clocks of their own, are slow, away, or lose all they had; connections end with what is on
//! its way, of which requests may still arrive. A process asks for its leases as a pool does, and may crash.
//! Checked is that no two leases of a key are valid at a time, that tokens grow, that each waiter is served
//! once the weather is good, and that nothing is left.

mod client;
mod world;

use std::time::Duration;

use proptest::prelude::*;

pub(super) use client::{Client, State};
pub(super) use world::TTL;
use world::{Weather, World};

const GOOD: Weather = Weather {
    broken: 0,
    slow: 0,
    away: 0,
    crashes: 0,
    steps: 0,
    restart_delay: Some(Duration::from_millis(600)),
};

fn simulate(seed: u64, servers: usize, weather: Weather) -> World {
    let mut world = World::new(seed, servers, weather);
    for _ in 0..250 {
        world.step();
    }
    world.end();
    world
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 6000,
        max_shrink_iters: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn quorums_in_any_weather(
        seed: u64,
        servers in prop::sample::select(vec![1_usize, 3, 4, 5]),
        broken in 0_u32..8,
        slow in 0_u32..8,
        away in 0_u32..6,
        crashes in 0_u32..4,
        steps in 0_u32..8,
    ) {
        // What a counter has lost only a clock that goes on makes good.
        let steps = if away == 0 { steps } else { 0 };
        let weather = Weather { broken, slow, away, crashes, steps, ..GOOD };
        simulate(seed, servers, weather);
    }
}

#[test]
fn the_simulation_is_not_idle() {
    let weather = Weather {
        broken: 3,
        slow: 3,
        away: 2,
        crashes: 1,
        ..GOOD
    };
    let (mut granted, mut handed_over, mut lost, mut restarts) = (0, 0, 0, 0);
    for seed in 0..40 {
        let world = simulate(seed, 3, weather);
        granted += world.granted;
        handed_over += world.handed_over;
        lost += world.lost;
        restarts += world.restarts;
    }
    println!("{granted} granted, {handed_over} handed over, {lost} lost, {restarts} restarts");
    assert!(granted > 1000, "{granted} granted");
    assert!(handed_over > 200, "{handed_over} handed over");
    assert!(lost > 2, "{lost} lost");
    assert!(restarts > 10, "{restarts} restarts");
}

#[test]
fn good_weather_loses_nothing() {
    for seed in 0..60 {
        let world = simulate(seed, 3, GOOD);
        assert_eq!(world.lost, 0, "seed {seed}");
    }
}

/// Why a server that was restarted without its data has no vote for a ttl.
#[test]
fn servers_that_forget_and_vote_at_once_let_two_in() {
    let weather = Weather {
        away: 6,
        restart_delay: None,
        ..GOOD
    };
    let overlaps: u64 = (0..200)
        .map(|seed| simulate(seed, 3, weather).overlaps)
        .sum();
    assert!(overlaps > 0, "it never came to pass");
}
