//! Every example runs and finds what it shows, in memory and on a server.

use std::process::Command;

use lockattr_tests::{RedisServer, find_secret};

fn run(example: &str) {
    let server = RedisServer::start();
    for url in [None, Some(server.url())] {
        let mut command = Command::new(env!("CARGO"));
        command.args([
            "run",
            "--quiet",
            "--package",
            "examples",
            "--example",
            example,
        ]);
        command
            .env_remove("LOCKATTR_URL")
            .env("RUST_LOG", "trace")
            .envs(url.as_ref().map(|url| ("LOCKATTR_URL", url)));
        let output = command.output().expect("cargo is there");
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        let secret = find_secret(format!("{text}{errors}").as_bytes());
        assert_eq!(secret, None, "{example} tells a secret");
        assert!(
            output.status.success(),
            "{example}, with a server: {}: {text}{errors}",
            url.is_some()
        );
        assert!(text.lines().count() > 2, "{example} shows nothing: {text}");
    }
    assert!(server.locks().is_empty(), "{example} leaves locks");
}

#[test]
fn quickstart() {
    run("quickstart");
}

#[test]
fn counter() {
    run("counter");
}

#[test]
fn critical_section() {
    run("critical_section");
}

#[test]
fn flash_sale() {
    run("flash_sale");
}

#[test]
fn fair_allocation() {
    run("fair_allocation");
}

#[test]
fn graceful_shutdown() {
    run("graceful_shutdown");
}
