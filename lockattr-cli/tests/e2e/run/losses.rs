//! A lease that is lost while the command runs.
//!
//! `lose` waits until all processes have ended that have the command's standard output.

use lockattr_tests::{RedisServer, eventually};
use nix::sys::signal::Signal;

use crate::program::{Folder, Running, Said, lockattr, run};

/// Runs a script that makes the file `ready`, and takes its lease away.
fn lose(grace: &str, script: &str) -> Said {
    let server = RedisServer::start();
    let folder = Folder::new();
    let mut command = lockattr(&server, ["run", "-k", "job", "--ttl", "6s"]);
    command.args(["--grace", grace, "--", "sh", "-c", script, "sh"]);
    let running = Running::start(command.arg(folder.path()));
    folder.gets("ready");
    server.raw(&["FLUSHALL"]).unwrap();
    let said = running.end().exits_with(70);
    for part in ["the lock `job`", "fencing token", "SIGTERM", "SIGKILL"] {
        assert!(said.err.contains(part), "{said:?}");
    }
    said
}

#[test]
fn the_whole_group_is_told() {
    let script = r#"
        listen() { trap "echo told; exit 0" TERM; touch $1; while :; do sleep 0.01; done; }
        listen $1/inner &
        until [ -e $1/inner ]; do sleep 0.01; done
        listen $1/ready
    "#;
    let said = lose("10m", script);
    assert_eq!(said.out, "told\ntold\n", "each of them: {said:?}");
}

#[test]
fn what_does_not_end_is_killed_after_the_grace() {
    let script = r#"trap "" TERM; touch $1/ready; while :; do sleep 0.01; done"#;
    lose("100ms", script);
}

/// The first process ends at once, and leaves another one behind that does not.
#[test]
fn what_the_command_has_started_is_killed_too() {
    let script = r#"
        (trap "" TERM; touch $1/inner; while :; do sleep 0.01; done) &
        until [ -e $1/inner ]; do sleep 0.01; done
        touch $1/ready
        exec sleep 600
    "#;
    lose("100ms", script);
}

#[test]
fn a_command_that_is_stopped_is_told_too() {
    let script = r#"
        trap "echo told; exit 0" TERM
        (until grep -q "^State:.T" /proc/$$/status; do sleep 0.01; done; touch $1/ready) &
        kill -STOP $$
    "#;
    let said = lose("10m", script);
    assert_eq!(said.out, "told\n", "{said:?}");
}

/// The program itself stood still for longer than the ttl, and the command has ended meanwhile.
#[test]
fn a_loss_that_is_noticed_at_the_end_is_one_too() {
    let server = RedisServer::start();
    let folder = Folder::new();
    let script = "touch $1/ready; until [ -e $1/go ]; do sleep 0.01; done; touch $1/gone";
    let mut command = lockattr(&server, ["run", "-k", "job", "--ttl", "2s"]);
    command.args(["--", "sh", "-c", script, "sh"]);
    let running = Running::start(command.arg(folder.path()));
    folder.gets("ready");
    running.signal(Signal::SIGSTOP);
    eventually("another one has the lock", || {
        let arguments = ["run", "-k", "job", "--wait", "0s", "--", "true"];
        run(&mut lockattr(&server, arguments)).code == Some(0)
    });
    folder.put("go");
    folder.gets("gone");
    running.signal(Signal::SIGCONT);
    let said = running.end().exits_with(70);
    assert!(said.err.contains("was lost"), "{said:?}");
}
