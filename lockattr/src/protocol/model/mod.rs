//! The protocol, checked exhaustively for small fleets.
//!
//! The states are those of the real [`Coordinator`](super::Coordinator)s and of the real memory
//! [`Server`](crate::backend::memory::Server); connections end with what is on its way, processes
//! are as late as they like, and time advances in ticks up to a horizon. [`stateright`] visits
//! every reachable state.
//!
//! The table maps the transitions (`actions::Action`) to the scripts of `backend/redis/lua`. The
//! memory server does the same as the scripts (`backend::redis::equivalence` compares them):
//!
//! | transition | lines of the scripts |
//! | --- | --- |
//! | `Up`, `Late` of an acquire | `acquire.lua`, or code `a` of `attempts.lua`; where that does not suffice, `acquire` of `contended.lua` |
//! | … of a renewal | code `n`, or `renew` with `reserve` |
//! | … of a release | `release.lua`, or code `r`; otherwise `release`: tombstone, `LREM`, then `hand_over` or `DEL` |
//! | `Down` | what the script returns, and the `PUBLISH` of `hand_over` |
//! | `Break` | what it returned and published on that connection is lost |
//! | `Crash` | `PUBLISH` counts no receiver, and `hand_over` goes on to the next |
//! | `Tick` | the `PX` of a lock's `SET` and the `PEXPIRE`s run out |
//! | `Forget` | a reservation finds no counter: it begins from `TIME` |
//! | `StepClock` | `TIME` and the ends of all keys jump |
//! | `Ask`, `Finish`, `Wake` | none: callers, and the coordinator's own timers |
//!
//! The small fleets are checked with all other tests. For the large ones:
//! `cargo test --release -p lockattr --lib model -- --ignored --nocapture`.

mod actions;
mod drain;
mod fleet;
mod process;
mod world;

use crate::mode::Mode;
use crate::model_check;
use fleet::{Faults, Fleet};

#[track_caller]
fn check(name: &str, fleet: Fleet) {
    model_check::check(name, fleet, None);
}

const SMALL: Fleet = Fleet {
    processes: 2,
    calls: 1,
    ticks: 2,
    modes: &[Mode::Exclusive],
    faults: Faults::NONE,
};
const SHORT: Fleet = Fleet { ticks: 1, ..SMALL };

#[test]
fn good_weather() {
    check("good weather", SMALL);
}

#[test]
fn a_process_crashes() {
    let faults = Faults {
        crashes: 1,
        ..Faults::NONE
    };
    check("a crash", Fleet { faults, ..SMALL });
}

#[test]
fn a_connection_ends_with_what_was_on_its_way() {
    let faults = Faults {
        broken: 1,
        ..Faults::NONE
    };
    check("a connection lost", Fleet { faults, ..SHORT });
}

#[test]
fn a_clock_runs_slow() {
    let faults = Faults {
        slow_clock: true,
        ..Faults::NONE
    };
    check("a slow clock", Fleet { faults, ..SMALL });
}

/// Two holders at once are possible, and tokens protect.
#[test]
fn the_server_forgets() {
    let faults = Faults {
        forgets: 1,
        ..Faults::NONE
    };
    check("lost data", Fleet { faults, ..SHORT });
}

/// As above.
#[test]
fn the_clock_of_the_server_is_set_forward() {
    let faults = Faults {
        steps: 1,
        ..Faults::NONE
    };
    check("a clock step", Fleet { faults, ..SHORT });
}

const READERS: &[Mode] = &[Mode::Shared];
const READER_AND_WRITER: &[Mode] = &[Mode::Shared, Mode::Exclusive];
const PERMITS: &[Mode] = &[
    Mode::Permits {
        permits: 2,
        weight: 1,
    },
    Mode::Permits {
        permits: 2,
        weight: 1,
    },
];

const MIXED: &[Mode] = &[Mode::Shared, Mode::Exclusive, Mode::Shared];
/// One of them wants all.
const BIG_AND_SMALL: &[Mode] = &[
    PERMITS[0],
    Mode::Permits {
        permits: 2,
        weight: 2,
    },
    PERMITS[1],
];

#[test]
fn readers_and_a_writer() {
    let fleet = |modes| Fleet { modes, ..SMALL };
    check("two readers", fleet(READERS));
    check("a reader and a writer", fleet(READER_AND_WRITER));
}

#[test]
fn readers_and_a_writer_crash() {
    let faults = Faults {
        crashes: 1,
        ..Faults::NONE
    };
    let fleet = |modes| Fleet {
        modes,
        faults,
        ..SMALL
    };
    check("a reader or a writer crashes", fleet(READER_AND_WRITER));
    check("a permit's holder crashes", fleet(PERMITS));
}

#[test]
fn a_reader_loses_its_connection() {
    let faults = Faults {
        broken: 1,
        ..Faults::NONE
    };
    let fleet = |modes| Fleet {
        modes,
        faults,
        ..SHORT
    };
    check(
        "a reader and a writer, a connection lost",
        fleet(READER_AND_WRITER),
    );
}

#[test]
#[ignore = "takes many minutes; see the module's first lines"]
fn large_fleets() {
    let crash = Faults {
        crashes: 1,
        ..Faults::NONE
    };
    let cut = Faults {
        broken: 1,
        ..Faults::NONE
    };
    let with = |faults| Fleet { faults, ..SMALL };
    check("a crash, longer", with(crash));
    check("a connection lost, longer", with(cut));
    check(
        "a crash and a connection lost",
        Fleet {
            faults: Faults { crashes: 1, ..cut },
            ..SHORT
        },
    );
    check("good weather, longer", Fleet { ticks: 3, ..SMALL });
    check("two calls each", Fleet { calls: 2, ..SHORT });
    for (name, modes) in [
        ("two readers and a writer", MIXED),
        ("three that want two permits", BIG_AND_SMALL),
    ] {
        let fleet = Fleet {
            processes: 3,
            modes,
            ..SHORT
        };
        check(name, fleet);
    }
    check(
        "three processes",
        Fleet {
            processes: 3,
            ..SHORT
        },
    );
}
