//! `lockattr run`.

mod losses;
mod signals;

use lockattr_tests::RedisServer;

use crate::program::{Folder, Running, lockattr, run};
use crate::{LONG, becomes_waited, pool, server};

/// A command that says where it is, and ends when the test lets it.
const IN_AND_OUT: &str = r#"
    mkdir "$1/inside" || exit 99
    echo "$LOCKATTR_TOKEN" >"$1/token"
    touch "$1/$2"
    until [ -e "$1/go" ]; do sleep 0.01; done
    rmdir "$1/inside"
"#;

/// A command that says that it runs, beside others.
const TOGETHER: &str = r#"touch "$1/$2"; until [ -e "$1/go" ]; do sleep 0.01; done"#;

fn start(
    server: &RedisServer,
    options: &[&str],
    script: &str,
    folder: &Folder,
    name: &str,
) -> Running {
    let mut command = lockattr(server, ["run", "-k", "job", "--ttl", "10m"]);
    command.args(options).args(["--", "sh", "-c", script, "sh"]);
    Running::start(command.arg(folder.path()).arg(name))
}

/// Runs `true` if the lock is free.
fn try_once(server: &RedisServer, key: &str) -> crate::program::Said {
    run(&mut lockattr(
        server,
        ["run", "-k", key, "--wait", "0s", "--", "true"],
    ))
}

#[test]
fn the_command_is_told_its_key_and_its_token() {
    let server = RedisServer::start();
    let script = "echo $LOCKATTR_KEY $LOCKATTR_TOKEN";
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let arguments = ["run", "--key", "order:1", "--", "sh", "-c", script];
        let said = run(&mut lockattr(&server, arguments)).exits_with(0);
        let (key, token) = said.out.trim_end().split_once(' ').unwrap();
        assert_eq!(key, "order:1");
        tokens.push(token.parse::<u64>().unwrap());
    }
    assert!(tokens[0] < tokens[1], "{tokens:?}");
}

/// The server's user has no right to look at locks: `run` needs none.
#[test]
fn it_exits_as_the_command_does_and_releases_the_lock() {
    let server = RedisServer::start();
    for (script, code) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("exit 255", 255),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
        // This program ignores it, and the command must not.
        ("kill -PIPE $$; exit 0", 141),
        // It has no name.
        ("kill -40 $$", 168),
    ] {
        let arguments = ["run", "-k", "job", "--ttl", "10m", "--", "sh", "-c", script];
        let said = run(&mut lockattr(&server, arguments)).exits_with(code);
        assert_eq!(said.err, "", "{script}");
        assert!(server.locks().is_empty(), "{script}");
    }
}

#[test]
fn a_command_that_cannot_be_executed_is_told_from_one_that_is_missing() {
    let server = RedisServer::start();
    for (program, code) in [("/no/such/program", 127), ("/etc/passwd", 126), ("/", 126)] {
        let arguments = ["run", "-k", "job", "--ttl", "10m", "--", program];
        let said = run(&mut lockattr(&server, arguments)).exits_with(code);
        assert!(said.error().contains(program), "{said:?}");
        assert!(server.locks().is_empty(), "{program}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_never_overlap() {
    let server = server();
    let pool = pool(&server).await;
    let folder = Folder::new();
    let first = start(&server, &[], IN_AND_OUT, &folder, "first");
    folder.gets("first");
    let first_token: u64 = folder.read("token").trim().parse().unwrap();
    let second = start(
        &server,
        &["--wait", "forever"],
        IN_AND_OUT,
        &folder,
        "second",
    );
    becomes_waited(&pool, "job").await;
    assert!(!folder.has("second"));
    folder.put("go");
    first.end().exits_with(0);
    second.end().exits_with(0);
    let second_token: u64 = folder.read("token").trim().parse().unwrap();
    assert!(first_token < second_token);
}

#[test]
fn a_busy_lock_has_a_code_of_its_own() {
    let server = RedisServer::start();
    let folder = Folder::new();
    let first = start(&server, &[], IN_AND_OUT, &folder, "first");
    folder.gets("first");
    let said = try_once(&server, "job").exits_with(75);
    for part in ["`job`", "held by", "lockattr run sh"] {
        assert!(said.error().contains(part), "{said:?}");
    }
    try_once(&server, "another").exits_with(0);
    folder.put("go");
    first.end().exits_with(0);
    try_once(&server, "job").exits_with(0);
}

#[test]
fn readers_and_permits_run_together() {
    let server = RedisServer::start();
    let permits = ["--permits", "3", "--weight", "1"];
    // What does not fit beside two of them.
    let two_permits = ["--permits", "3", "--weight", "2"];
    for (options, more) in [(&["--shared"][..], &[][..]), (&permits, &two_permits)] {
        let folder = Folder::new();
        let names = ["first", "second"];
        let both = names.map(|name| start(&server, options, TOGETHER, &folder, name));
        for name in names {
            folder.gets(name);
        }
        let mut command = lockattr(&server, ["run", "-k", "job", "--wait", "0s"]);
        run(command.args(more).args(["--", "true"])).exits_with(75);
        folder.put("go");
        for one in both {
            one.end().exits_with(0);
        }
        assert!(server.locks().is_empty(), "{options:?}");
    }
}

/// All that use a key use it in the same way.
#[test]
fn another_mode_is_a_mistake_and_not_a_busy_lock() {
    let server = RedisServer::start();
    let folder = Folder::new();
    let running = start(&server, &["--permits", "3"], TOGETHER, &folder, "in");
    folder.gets("in");
    let said = try_once(&server, "job").exits_with(64);
    assert!(said.error().contains("permits = 3"), "{said:?}");
    folder.put("go");
    running.end().exits_with(0);
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let server = RedisServer::start();
    for options in [
        &["--shared", "--permits", "2"][..],
        &["--weight", "2"],
        &["--permits", "0"],
        &["--permits", "2", "--weight", "3"],
        &["--ttl", "1ms"],
        &["--ttl", "soon"],
        &["--json"],
    ] {
        let mut command = lockattr(&server, ["run", "-k", "job"]);
        let said = run(command.args(options).args(["--", "true"])).exits_with(64);
        assert!(!said.err.is_empty(), "{options:?}");
    }
    run(&mut lockattr(&server, ["run", "-k", "job"])).exits_with(64);
    run(&mut lockattr(&server, ["run", "--", "true"])).exits_with(64);
    run(&mut lockattr(&server, ["run", "-k", "", "--", "true"])).exits_with(64);
}

#[tokio::test]
async fn others_are_kept_out_for_the_shortest_hold() {
    let server = server();
    for (script, code) in [("exit 0", 0), ("exit 3", 3)] {
        let arguments = ["run", "-k", "job", "--min-hold", "10m", "--", "sh", "-c"];
        run(lockattr(&server, arguments).arg(script)).exits_with(code);
        try_once(&server, "job").exits_with(75);
        let said = run(&mut lockattr(&server, ["ls"])).exits_with(0);
        assert!(said.out.contains("exclusive, finished"), "{said:?}");
        let arguments = ["release", "job", "--force", "--yes"];
        run(&mut lockattr(&server, arguments)).exits_with(0);
        try_once(&server, "job").exits_with(0);
    }
}

#[tokio::test]
async fn variables_of_the_library_set_what_the_options_do_not() {
    let server = server();
    let pool = pool(&server).await;
    let folder = Folder::new();
    let mut command = lockattr(
        &server,
        ["run", "-k", "job", "--", "sh", "-c", TOGETHER, "sh"],
    );
    command.arg(folder.path()).arg("in");
    let running = Running::start(command.env("LOCKATTR_TTL", "1h"));
    folder.gets("in");
    let holder = pool.holder("job").await.unwrap().unwrap();
    assert!(holder.ttl_left > LONG, "{holder}");
    let mut command = lockattr(&server, ["run", "-k", "job", "--", "true"]);
    run(command.env("LOCKATTR_WAIT", "0s")).exits_with(75);
    folder.put("go");
    running.end().exits_with(0);
}

#[test]
fn the_step_before_the_command_runs_for_its_parent_only() {
    let server = RedisServer::start();
    let said = run(&mut lockattr(&server, ["__launch", "1", "--", "true"])).exits_with(71);
    assert!(said.error().contains("ended"), "{said:?}");
}
