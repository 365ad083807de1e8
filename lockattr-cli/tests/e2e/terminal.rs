//! What needs a terminal, which `script` provides.

use std::fs::File;
use std::io::Write as _;
use std::process::Command;

use lockattr_tests::{RedisServer, eventually_async};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::program::{Folder, PROGRAM, Running, clean, with_all_signals};
use crate::{hold, pool, server};

/// Runs a command line on a terminal of its own; `$LOCKATTR` is the program, `$1` the folder.
fn on_terminal(server: &RedisServer, folder: &Folder, line: &str) -> Running {
    let mut command = Command::new("script");
    clean(&mut command)
        .env("LOCKATTR_URL", server.url())
        .env("LOCKATTR", PROGRAM)
        .env("FOLDER", folder.path())
        .env("SHELL", "/bin/sh")
        .args(["-qefc", line, "/dev/null"]);
    Running::start_to_write(&mut with_all_signals(&command))
}

#[tokio::test]
async fn a_person_is_asked_before_a_key_is_taken_away() {
    let server = server();
    let pool = pool(&server).await;
    let _guard = hold(&pool, "job").await;
    for (answer, code) in [("n\n", 1), ("\n", 1), ("yes\n", 0)] {
        assert!(pool.is_locked("job").await.unwrap());
        let folder = Folder::new();
        let mut running = on_terminal(&server, &folder, "$LOCKATTR release job --force");
        running.says("[y/N]");
        running.write(answer);
        running.end().exits_with(code);
    }
    assert!(!pool.is_locked("job").await.unwrap());
}

#[tokio::test]
async fn only_the_holder_that_was_shown_is_taken_away() {
    let server = server();
    let pool = pool(&server).await;
    let guard = hold(&pool, "job").await;
    let folder = Folder::new();
    let mut running = on_terminal(&server, &folder, "$LOCKATTR release job --force");
    running.says("[y/N]");
    guard.release().await;
    let next = hold(&pool, "job").await;
    running.write("y\n");
    let said = running.end().exits_with(1);
    assert!(said.out.contains("another holder"), "{said:?}");
    let holder = pool.holder("job").await.unwrap().unwrap();
    assert_eq!(holder.fencing_token, Some(next.fencing_token()));
}

/// The keys go to the command once it reads, and come back after it.
#[test]
fn a_command_can_read_from_the_terminal() {
    let server = RedisServer::start();
    let folder = Folder::new();
    let line = r#"
        $LOCKATTR run -k job -- sh -c 'echo "ask 1"; read line; echo "got <$line>"'
        echo "ask 2"; read line; echo "got <$line>"
    "#;
    let mut running = on_terminal(&server, &folder, line);
    running.says("ask 1");
    running.write("one\n");
    running.says("got <one>");
    running.says("ask 2");
    running.write("two\n");
    running.says("got <two>");
    running.end().exits_with(0);
}

#[test]
fn ctrl_c_reaches_the_command() {
    let server = RedisServer::start();
    // Once in the background of the terminal, and once in its foreground.
    for first in ["", "read line; "] {
        let folder = Folder::new();
        let script = format!(
            r#"{first}trap "echo interrupted; exit 3" INT; echo ready; while :; do sleep 0.01; done"#
        );
        // A shell that waited for it would be interrupted too.
        let line = format!("exec $LOCKATTR run -k job --ttl 10m -- sh -c '{script}'");
        let mut running = on_terminal(&server, &folder, &line);
        running.write("\n");
        running.says("ready");
        running.write("\x03");
        let said = running.end().exits_with(3);
        assert!(said.out.contains("interrupted"), "{said:?}");
        assert!(server.locks().is_empty());
    }
}

/// A shell with job control stops and continues the whole job.
#[tokio::test]
async fn ctrl_z_stops_the_command_and_fg_continues_it() {
    let server = server();
    let pool = pool(&server).await;
    for first in ["", "read line; "] {
        let folder = Folder::new();
        let mut running = on_terminal(&server, &folder, "sh -i");
        // Commands in between could be stopped while the shell that starts them cannot be.
        let script = format!(r#"{first}: >$FOLDER/in; read line <$FOLDER/go; echo has "ended""#);
        mkfifo(&folder.path().join("go"), Mode::S_IRWXU).unwrap();
        running.write(&format!(
            "$LOCKATTR run -k job --ttl 10m -- sh -c '{script}'\n\n"
        ));
        folder.gets("in");
        running.write("\x1a");
        running.says("Stopped");
        assert!(pool.is_locked("job").await.unwrap());
        running.write("fg\n");
        // Opened for both, it does not wait for the command.
        let mut options = File::options();
        let go = options.read(true).write(true);
        let mut go = go.open(folder.path().join("go")).unwrap();
        go.write_all(b"\n").unwrap();
        running.says("has ended");
        running.write("exit 9\n");
        running.end().exits_with(9);
        eventually_async("it is released", || async {
            !pool.is_locked("job").await.unwrap()
        })
        .await;
    }
}

#[tokio::test]
async fn colours_are_for_terminals_that_want_them() {
    let server = server();
    let pool = pool(&server).await;
    let _guard = hold(&pool, "job").await;
    for (line, is_colored) in [
        ("TERM=xterm $LOCKATTR ls", true),
        ("TERM=xterm NO_COLOR=1 $LOCKATTR ls", false),
        ("TERM=xterm $LOCKATTR ls --color never", false),
        ("TERM=dumb $LOCKATTR ls", false),
    ] {
        let said = on_terminal(&server, &Folder::new(), line)
            .end()
            .exits_with(0);
        assert_eq!(said.out.contains('\x1b'), is_colored, "{line}: {said:?}");
    }
}

#[tokio::test]
async fn a_table_is_as_wide_as_the_terminal() {
    let server = server();
    let pool = pool(&server).await;
    let _guard = hold(&pool, &"long:".repeat(30)).await;
    for columns in [80, 100] {
        let line = format!("stty cols {columns}; $LOCKATTR ls --color never");
        let said = on_terminal(&server, &Folder::new(), &line)
            .end()
            .exits_with(0);
        let widths = said.out.lines().map(|line| line.trim_end().chars().count());
        let widest = widths.max().unwrap();
        assert!(widest <= columns && widest > columns / 2, "{said:?}");
    }
}
