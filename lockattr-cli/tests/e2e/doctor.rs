//! `lockattr doctor`.

use lockattr_tests::RedisServer;

use crate::program::{lockattr, lockattr_at, run};

#[test]
fn warnings_are_an_exit_code() {
    let server = RedisServer::start();
    let said = run(lockattr_at(&server.admin_url()).arg("doctor")).exits_with(1);
    for part in [
        "warning  persistence",
        "-> appendonly yes",
        "good     rights",
    ] {
        assert!(said.out.contains(part), "{said:?}");
    }
    let said = run(lockattr_at(&server.admin_url()).args(["doctor", "--json"])).exits_with(1);
    let object = &said.objects()[0];
    assert_eq!(object["worst"], "warning");
    let findings = object["findings"].as_array().unwrap();
    let warning = findings
        .iter()
        .find(|finding| finding["severity"] == "warning");
    let warning = warning.unwrap();
    assert_eq!(warning["topic"], "persistence");
    assert!(warning["remedy"].as_str().unwrap().contains("appendonly"));
    // A pool that is strict would not start.
    let mut strict = lockattr_at(&server.admin_url());
    strict.env("LOCKATTR_STRICT", "true");
    let said = run(strict.arg("doctor")).exits_with(1);
    assert!(said.out.contains("warning  persistence"), "{said:?}");
    let mut strict = lockattr_at(&server.admin_url());
    let said = run(strict.args(["ls", "--strict"])).exits_with(69);
    assert!(said.error().contains("AOF"), "{said:?}");
}

#[test]
fn nothing_to_warn_of_is_a_success() {
    let server = sound();
    let said = run(&mut lockattr(&server, ["doctor"])).exits_with(0);
    assert!(said.out.contains("good     eviction"), "{said:?}");
}

#[test]
fn a_right_that_is_missing_is_named() {
    let server = RedisServer::start();
    let said = run(&mut lockattr(&server, ["doctor"])).exits_with(1);
    assert!(said.out.contains("no right to INFO"), "{said:?}");
}

#[test]
fn the_ttl_is_judged() {
    let server = sound();
    let said = run(&mut lockattr(&server, ["doctor", "--ttl", "77s"])).exits_with(0);
    assert!(said.out.contains("77s for the shortest ttl"), "{said:?}");
    let mut command = lockattr(&server, ["doctor"]);
    let said = run(command.env("LOCKATTR_TTL", "1m 6s")).exits_with(0);
    assert!(said.out.contains("66s for the shortest ttl"), "{said:?}");
}

/// A server of which there is nothing to warn, and a user who may know that.
fn sound() -> RedisServer {
    let server = RedisServer::start_with(&["--appendonly", "yes"]);
    let user = ["ACL", "SETUSER", "locker", "+info", "+config|get"];
    server.raw(&user).unwrap();
    server
}
