//! Whole fleets in virtual time, all driven from one seed.

mod world;

use proptest::prelude::*;

use world::{Weather, World};

fn simulate(seed: u64, weather: Weather, steps: u64) -> World {
    let mut world = World::new(seed, weather);
    for id in 0..steps {
        world.step(id);
    }
    world.end();
    world
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4000,
        max_shrink_iters: 2000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn fleets_in_any_weather(seed: u64, lost in 0_u32..30, late in 0_u32..70, haste in 0_u32..5, unconfirmed in 0_u32..60, modes: bool, keeps: bool) {
        // In half of the fleets no call asks.
        let unconfirmed = unconfirmed.saturating_sub(30);
        simulate(seed, Weather { lost, late, haste, unconfirmed, modes, keeps }, 300);
    }
}

#[test]
fn the_simulation_is_not_idle() {
    let (mut granted, mut passed_on, mut cancelled) = (0, 0, 0);
    let (mut missed, mut extended) = (0, 0);
    for seed in 0..20 {
        let weather = Weather {
            lost: 5,
            late: 5,
            haste: 3,
            unconfirmed: 10,
            modes: seed % 2 == 0,
            keeps: seed % 4 == 0,
        };
        let world = simulate(seed, weather, 2000);
        granted += world.granted;
        passed_on += world.passed_on;
        cancelled += world.cancelled;
        missed += world.missed;
        extended += world.extended;
    }
    assert!(granted > 2000, "{granted} grants");
    assert!(passed_on > 50, "{passed_on} passed on");
    assert!(cancelled > 1000, "{cancelled} cancellations");
    assert!(missed > 10, "{missed} not taken up");
    assert!(extended > 20, "{extended} extended");
}

#[test]
fn good_weather_leaves_nothing_even_at_once() {
    for seed in 0..20 {
        let mut world = World::new(
            seed,
            Weather {
                lost: 0,
                late: 0,
                haste: 3,
                unconfirmed: 0,
                modes: seed % 2 == 0,
                keeps: false,
            },
        );
        for id in 0..200 {
            world.step(id);
        }
        world.end_soon();
    }
}
