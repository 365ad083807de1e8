//! Signals, and the lock at the end of the program.

use std::process::Command;

use lockattr_tests::{RedisServer, eventually};
use nix::sys::signal::Signal;

use crate::program::{Folder, PROGRAM, Running, clean, lockattr, run, with_all_signals};
use crate::{becomes_waited, hold, pool, server};

/// A command of two processes, each of which says which signal it got.
const TWO: &str = r#"
    signal=$2
    listen() {
        trap "touch $1/$2-got; exit $3" $signal
        touch "$1/$2-ready"
        while :; do sleep 0.01; done
    }
    listen "$1" inner 0 &
    listen "$1" outer 5
"#;

#[test]
fn signals_reach_the_whole_group() {
    let server = RedisServer::start();
    for (signal, name) in [
        (Signal::SIGTERM, "TERM"),
        (Signal::SIGHUP, "HUP"),
        (Signal::SIGUSR1, "USR1"),
        (Signal::SIGUSR2, "USR2"),
    ] {
        let folder = Folder::new();
        let mut command = lockattr(&server, ["run", "-k", "job", "--ttl", "10m", "--"]);
        command.args(["sh", "-c", TWO, "sh"]).arg(folder.path());
        let running = Running::start(&mut with_all_signals(command.arg(name)));
        folder.gets("inner-ready");
        folder.gets("outer-ready");
        running.signal(signal);
        running.end().exits_with(5);
        assert!(folder.has("inner-got") && folder.has("outer-got"), "{name}");
        assert!(server.locks().is_empty(), "{name}");
    }
}

#[test]
fn a_command_that_a_signal_ends_gives_its_number() {
    let server = RedisServer::start();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGQUIT] {
        let folder = Folder::new();
        let mut command = lockattr(&server, ["run", "-k", "job", "--ttl", "10m", "--"]);
        command.args(["sh", "-c", "touch $1/in; exec sleep 600", "sh"]);
        let running = Running::start(&mut with_all_signals(command.arg(folder.path())));
        folder.gets("in");
        running.signal(signal);
        running.end().exits_with(128 + signal as i32);
        assert!(server.locks().is_empty(), "{signal}");
    }
}

#[tokio::test]
async fn a_signal_ends_the_wait() {
    let server = server();
    let pool = pool(&server).await;
    let guard = hold(&pool, "job").await;
    let folder = Folder::new();
    let mut command = lockattr(&server, ["run", "-k", "job", "--wait", "forever", "--"]);
    let running = Running::start(command.arg("touch").arg(folder.path().join("in")));
    becomes_waited(&pool, "job").await;
    running.signal(Signal::SIGTERM);
    running.end().exits_with(143);
    guard.release().await;
    // Nothing is left of it in the queue.
    let arguments = ["run", "-k", "job", "--wait", "0s", "--", "true"];
    run(&mut lockattr(&server, arguments)).exits_with(0);
    assert!(!folder.has("in"));
}

/// As `nohup` does it.
#[test]
fn a_signal_that_is_ignored_stays_ignored() {
    let server = RedisServer::start();
    let folder = Folder::new();
    let mut command = Command::new("sh");
    clean(&mut command).env("LOCKATTR_URL", server.url());
    command.args(["-c", r#"trap "" HUP; exec "$@""#, "sh", PROGRAM]);
    let script = "touch $1/in; until [ -e $1/go ]; do sleep 0.01; done";
    command.args(["run", "-k", "job", "--", "sh", "-c", script, "sh"]);
    let running = Running::start(command.arg(folder.path()));
    folder.gets("in");
    running.signal(Signal::SIGHUP);
    folder.put("go");
    running.end().exits_with(0);
}

/// `kill -9` of this program: the command gets SIGTERM, and the lock ends within its ttl.
#[cfg(target_os = "linux")]
#[test]
fn a_command_ends_with_the_program() {
    let server = RedisServer::start();
    let folder = Folder::new();
    let script = r#"trap "touch $1/told; exit" TERM; touch $1/in; while :; do sleep 0.01; done"#;
    let mut command = lockattr(&server, ["run", "-k", "job", "--ttl", "5s", "--"]);
    command.args(["sh", "-c", script, "sh"]).arg(folder.path());
    let running = Running::start(&mut command);
    folder.gets("in");
    running.signal(Signal::SIGKILL);
    folder.gets("told");
    let said = running.end();
    assert_eq!(said.code, None, "{said:?}");
    eventually("the lock ends", || server.locks().is_empty());
}
