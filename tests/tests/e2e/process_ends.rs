//! Processes that end without `shutdown()`, and processes that fork.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lockattr_tests::{Direction, Policy, Preload, Proxy, RedisServer};
use rustix::process::{Pid, Signal, kill_process};

/// Starts a service, and waits until it reports that it holds the lock or has asked for it.
fn start(url: &str, key: &str, until: &str, flavor: &str) -> Child {
    let mut service = Command::new(env!("CARGO_BIN_EXE_terminated"))
        .args([url, key, until, flavor])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(service.stdout.take().unwrap())
        .read_line(&mut said)
        .unwrap();
    assert!(["holding\n", "asked\n"].contains(&&*said), "{said}");
    service
}

fn terminate(mut service: Child) {
    kill_process(Pid::from_child(&service), Signal::TERM).unwrap();
    assert!(service.wait().unwrap().success());
}

/// The locks have a ttl far longer than any test waits.
#[test]
fn a_service_that_returns_from_main_has_released() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    proxy.set(Direction::Replies, Policy::Delay(Duration::from_millis(20)));
    let url = server.url_at(proxy.port());
    for (held, flavor) in [
        ("held", "multi"),
        ("held", "current"),
        ("spawned", "multi"),
        ("spawned", "current"),
    ] {
        for run in 0..10 {
            terminate(start(&url, &format!("job:{run}"), held, flavor));
            assert_eq!(server.locks(), [""; 0], "after run {run}, {held}, {flavor}");
        }
    }
}

/// The server's grant to a dropped call is released when its answer has come.
#[test]
fn a_service_that_ends_while_it_acquires_leaves_nothing() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    proxy.set(Direction::Replies, Policy::Delay(Duration::from_millis(50)));
    let url = server.url_at(proxy.port());
    for flavor in ["multi", "current"] {
        let mut service = start(&url, "job", "asking", flavor);
        assert!(service.wait().unwrap().success());
        assert_eq!(server.locks(), [""; 0], "{flavor}");
    }
}

/// The answer never comes, and the process still ends.
#[test]
fn a_service_does_not_wait_for_a_server_that_is_silent() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let url = server.url_at(proxy.port());
    let service = start(&url, "job", "held", "multi");
    proxy.set_both(Policy::Stall);
    terminate(service);
    assert_eq!(server.locks().len(), 1);
}

#[test]
fn a_forked_process_is_refused_at_once_and_leaves_its_parents_leases_alone() {
    let server = RedisServer::start();
    let fork = Preload::fork();
    let output = Command::new(env!("CARGO_BIN_EXE_forked"))
        .arg(server.url())
        .envs([fork.variable()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    assert!(said.contains("as it should be"), "{said}{errors}");
    assert_eq!(server.locks(), [""; 0]);
}
