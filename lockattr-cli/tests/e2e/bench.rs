//! `lockattr bench`.

use lockattr_tests::{RedisServer, eventually};
use nix::sys::signal::Signal;

use crate::program::{Running, lockattr, run, with_all_signals};

/// Locks and queues are gone. The counters of fencing tokens stay, and where an answer came late, a tombstone, which
/// ends by itself.
#[track_caller]
fn assert_nothing_is_left(server: &RedisServer) {
    let left = server.keys("*").into_iter();
    let left: Vec<String> = left.filter(|name| !name.contains("#tomb:")).collect();
    assert!(left.iter().all(|name| name.ends_with("#fence")), "{left:?}");
}

/// The user has no rights but those of any pool.
#[test]
fn pairs_are_measured_and_nothing_is_left() {
    let server = RedisServer::start();
    for (keys, tasks) in [("4", "4"), ("1", "3")] {
        let arguments = ["bench", "--seconds", "1", "--keys", keys, "--tasks", tasks];
        let said = run(lockattr(&server, arguments).arg("--json")).exits_with(0);
        assert!(said.error().contains("loads the lock service"), "{said:?}");
        let object = &said.objects()[0];
        assert_eq!(object["tasks"].to_string(), tasks);
        assert_eq!(object["keys"].to_string(), keys);
        assert_eq!(object["interrupted"], false);
        assert_eq!(object["lost"], 0);
        let number = |name: &str| object[name].as_f64().unwrap();
        assert!(
            number("pairs") >= 1.0 && number("seconds") >= 1.0,
            "{object}"
        );
        let rate = number("pairs") / number("seconds");
        assert!(
            (number("pairs_per_second") / rate - 1.0).abs() < 0.01,
            "{object}"
        );
        for times in ["acquire_us", "release_us", "pair_us"] {
            let time = |name: &str| object[times][name].as_u64().unwrap();
            assert!(0 < time("p50"), "{object}");
            assert!(
                time("p50") <= time("p99") && time("p99") <= time("max"),
                "{object}"
            );
        }
        assert_nothing_is_left(&server);
    }
    assert_eq!(server.refusals(), 0);
}

#[test]
fn people_get_a_table() {
    let server = RedisServer::start();
    let arguments = ["bench", "--seconds", "1", "--tasks", "2"];
    let said = run(&mut lockattr(&server, arguments)).exits_with(0);
    for part in [
        "pairs of acquire and release",
        "tasks: 2, keys: 2",
        "p50",
        "p99",
        "max",
    ] {
        assert!(said.out.contains(part), "{said:?}");
    }
}

#[test]
fn ctrl_c_ends_it_and_leaves_nothing() {
    let server = RedisServer::start();
    // With waiters.
    let arguments = [
        "bench",
        "--seconds",
        "600",
        "--tasks",
        "8",
        "--keys",
        "2",
        "--json",
    ];
    let command = lockattr(&server, arguments);
    let running = Running::start(&mut with_all_signals(&command));
    eventually("it has begun", || !server.keys("*#fence").is_empty());
    running.signal(Signal::SIGINT);
    let said = running.end().exits_with(130);
    assert_eq!(said.objects()[0]["interrupted"], true);
    assert_nothing_is_left(&server);
}

#[test]
fn a_service_that_fails_is_an_error() {
    let mut server = RedisServer::start();
    let arguments = ["bench", "--seconds", "600", "--tasks", "2"];
    let mut command = lockattr(&server, arguments);
    let running = Running::start(command.env("LOCKATTR_WAIT", "1s"));
    eventually("it has begun", || !server.keys("*#fence").is_empty());
    server.kill();
    let said = running.end().exits_with(69);
    assert_eq!(said.out, "");
    for wrong in [["--tasks", "0"], ["--keys", "0"], ["--seconds", "0"]] {
        run(lockattr(&server, ["bench"]).args(wrong)).exits_with(64);
    }
}
