//! Which lock service is asked, and what is said if it cannot be.

use std::process::Command;

use lockattr_tests::{CANARY, RedisServer};

use crate::program::{PROGRAM, clean, lockattr, lockattr_at, run};
use crate::{hold, pool, server};

#[test]
fn a_service_that_is_missing_or_wrong_is_an_error_of_one_line() {
    let server = RedisServer::start();
    let port = server.port();
    drop(server);
    for (url, code, part) in [
        (
            format!("redis://locker:{CANARY}@127.0.0.1:{port}/"),
            69,
            "no connection",
        ),
        (format!("http://locker:{CANARY}@h/"), 64, "scheme"),
        (CANARY.to_owned(), 64, "scheme"),
        ("memory://".to_owned(), 64, "redis://"),
    ] {
        for arguments in [&["ls"][..], &["doctor"], &["run", "-k", "k", "--", "true"]] {
            let said = run(lockattr_at(&url).args(arguments)).exits_with(code);
            assert!(said.error().contains(part), "{said:?}");
            assert_eq!(said.out, "");
        }
    }
    let said = run(clean(&mut Command::new(PROGRAM)).arg("ls")).exits_with(64);
    assert!(said.error().contains("LOCKATTR_URL"), "{said:?}");
}

#[test]
fn a_wrong_password_is_not_repeated() {
    let server = RedisServer::start();
    let url = format!("redis://locker:{CANARY}x@127.0.0.1:{}/", server.port());
    let said = run(lockattr_at(&url).arg("ls")).exits_with(69);
    assert!(said.error().contains("credentials"), "{said:?}");
}

#[test]
fn a_url_in_the_wrong_place_is_not_repeated() {
    let url = format!("redis://locker:{CANARY}@h/");
    for arguments in [&[&*url][..], &["ls", "a", &url], &["ls", "--sort", &url]] {
        let said = run(clean(&mut Command::new(PROGRAM)).args(arguments)).exits_with(64);
        assert!(said.err.contains("<URL>"), "{said:?}");
    }
}

/// `Said` is searched for the password and for owner ids.
#[tokio::test]
async fn neither_help_nor_events_show_a_secret() {
    let server = server();
    let said = run(&mut lockattr(&server, ["--help"])).exits_with(0);
    assert!(said.out.contains("LOCKATTR_URL"), "{said:?}");
    let arguments = ["-vv", "run", "-k", "k", "--", "true"];
    let said = run(&mut lockattr(&server, arguments)).exits_with(0);
    assert!(said.err.contains("DEBUG"), "{said:?}");
    let pool = pool(&server).await;
    let _guard = hold(&pool, "k").await;
    let arguments = ["-vv", "release", "k", "--force", "--yes"];
    let said = run(&mut lockattr(&server, arguments)).exits_with(0);
    assert!(said.err.contains("taken away"), "{said:?}");
}

#[test]
fn options_and_variables_have_the_names_of_the_library() {
    let server = RedisServer::start();
    // What is kept after the command shows its name.
    let kept = ["run", "-k", "k", "--min-hold", "10m"];
    let mut by_variable = lockattr_at(&server.admin_url());
    by_variable.env("LOCKATTR_PREFIX", "shop").args(kept);
    run(by_variable.args(["--", "true"])).exits_with(0);
    let names = server.locks();
    assert!(
        names.len() == 1 && names[0].starts_with("shop:"),
        "{names:?}"
    );
    let mut by_option = lockattr_at("redis://127.0.0.1:1/");
    by_option.env("LOCKATTR_PREFIX", "shop").args(kept);
    by_option.args(["--prefix", "mine", "--url", &server.admin_url()]);
    run(by_option.args(["--", "true"])).exits_with(0);
    let names = server.locks();
    assert!(
        names.len() == 2 && names[0].starts_with("mine:"),
        "{names:?}"
    );
    let mut wrong = lockattr_at(&server.admin_url());
    wrong.env("LOCKATTR_CONFIRM_WITHIN", "soon").arg("ls");
    let said = run(&mut wrong).exits_with(64);
    assert!(said.err.contains("--confirm-within"), "{said:?}");
    // A server without replicas confirms nothing.
    let mut replicas = lockattr_at(&server.admin_url());
    replicas.env("LOCKATTR_CONFIRM_REPLICAS", "1");
    let said = run(replicas.args(["run", "-kk", "--wait", "0s", "--", "true"])).exits_with(69);
    assert!(said.err.contains("replica"), "{said:?}");
}
