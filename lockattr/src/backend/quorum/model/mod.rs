//! Quorums, checked exhaustively for small fleets.
//!
//! The states are those of the real [`Ballots`](super::ballots::Ballots), of the clients of the simulation, and
//! of the real memory [`Server`](crate::backend::memory::Server)s, whose counters begin with different tokens.
//! Requests and answers of each connection keep their order and take as long as they like; connections end with
//! what is on its way, of which requests may still arrive; processes crash; servers come back without their data.
//! [`stateright`] visits every reachable state of a fleet.
//!
//! The small fleets are checked with all other tests. For the large ones:
//! `cargo test --release -p lockattr --lib quorum::model -- --ignored --nocapture`.

mod fleet;
mod world;

use crate::model_check::check;
use fleet::Fleet;

/// Three servers of which the second one is ahead with its tokens, and two processes that want a key once.
const SMALL: Fleet = Fleet {
    counters: [0, 20, 0],
    processes: 2,
    waits: true,
    leaves: false,
    ticks: 0,
    answers_at_once: true,
    broken: 0,
    crashes: 0,
    forgets: 0,
    delays_restarts: true,
};

/// As above, where no process waits.
const ONCE: Fleet = Fleet {
    waits: false,
    ..SMALL
};

#[test]
fn good_weather() {
    check("a quorum", SMALL, None);
}

#[test]
fn two_try_once() {
    check("two try once", ONCE, None);
}

#[test]
fn a_process_crashes() {
    check("a crash", Fleet { crashes: 1, ..ONCE }, None);
}

#[test]
fn a_connection_ends_with_what_was_on_its_way() {
    check(
        "a connection lost",
        Fleet { broken: 1, ..ONCE },
        Some(1_500_000),
    );
}

#[test]
fn a_server_forgets_and_waits() {
    let fleet = Fleet {
        forgets: 1,
        ticks: 7,
        ..ONCE
    };
    check("a server forgets", fleet, Some(1_000_000));
}

/// Two holders at once are possible.
#[test]
fn servers_forget_and_vote_at_once() {
    let fleet = Fleet {
        forgets: 1,
        delays_restarts: false,
        ..ONCE
    };
    check("a server forgets and votes at once", fleet, None);
}

#[test]
#[ignore = "takes many minutes; see the module's first lines"]
fn large_fleets() {
    let most = Some(30_000_000);
    let slow = Fleet {
        answers_at_once: false,
        ..ONCE
    };
    check("two try once, slow answers", slow, most);
    let counters = [20, 0, 10];
    check("other counters", Fleet { counters, ..SMALL }, None);
    check(
        "waiters leave",
        Fleet {
            leaves: true,
            ..SMALL
        },
        most,
    );
    check(
        "a crash, waiting",
        Fleet {
            crashes: 1,
            ..SMALL
        },
        most,
    );
    check(
        "a connection lost, longer",
        Fleet { broken: 1, ..ONCE },
        most,
    );
    check(
        "a connection lost, waiting",
        Fleet { broken: 1, ..SMALL },
        most,
    );
    check("a tick", Fleet { ticks: 1, ..SMALL }, most);
    check(
        "three try once",
        Fleet {
            processes: 3,
            ..ONCE
        },
        most,
    );
    check(
        "three wait",
        Fleet {
            processes: 3,
            ..SMALL
        },
        most,
    );
    let forgetful = Fleet {
        forgets: 1,
        ticks: 8,
        ..ONCE
    };
    check("a server forgets, longer", forgetful, most);
}
