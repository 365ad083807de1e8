//! `lockattr watch`.

use std::sync::atomic::{AtomicBool, Ordering};

use lockattr_tests::{RedisServer, eventually_async};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::program::{Running, Said, lockattr, run, with_all_signals};
use crate::tmux::Tmux;
use crate::{LONG, hold, pool, server, wait_for};

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_shown_as_they_are_held_and_waited_for() {
    let server = server();
    let (pool, other) = (pool(&server).await, pool(&server).await);
    let guard = hold(&pool, "order:1").await;
    let _cart = hold(&pool, "cart:1").await;
    let tmux = Tmux::start(&server, "$LOCKATTR watch --interval 100ms");
    tmux.shows_line(&["KEY", "HOLDER", "≥GRANTS/s", "WAITERS"]);
    tmux.shows_line(&["order:1", "exclusive", "main.rs:", " 0 "]);
    tmux.shows_line(&["cart:1"]);
    let waiting = wait_for(&other, "order:1").await;
    tmux.shows_line(&["order:1", " 1 "]);
    tmux.shows_line(&["2 keys", "2 holders", "1 waiting"]);
    // The next holder is a new grant.
    guard.release().await;
    let guard = waiting.await.unwrap();
    tmux.becomes("a grant was seen", |shown| {
        let line = shown.lines().find(|line| line.contains("order:1"));
        let mut words = line.into_iter().flat_map(str::split_whitespace);
        words.any(|word| word.contains('.') && word.parse::<f64>().is_ok_and(|rate| rate > 0.0))
    });
    guard.release().await;
    tmux.becomes("it is free", |shown| !shown.contains("order:1"));
    let _readers = [
        pool.lock("prices").ttl(LONG).shared().await.unwrap(),
        other.lock("prices").ttl(LONG).shared().await.unwrap(),
    ];
    tmux.shows_line(&["prices", "shared", " +1 "]);
    tmux.press(&["q"]);
    tmux.is_given_back(0);
    assert_eq!(server.refusals(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_the_keyboard_change_the_view() {
    let server = server();
    let (pool, other) = (pool(&server).await, pool(&server).await);
    let _cart = hold(&pool, "cart:1").await;
    let _order = hold(&pool, "order:1").await;
    let _waiting = wait_for(&other, "order:1").await;
    let tmux = Tmux::start(&server, "$LOCKATTR watch --sort key");
    let begins_with = |first: &str, second: &str| {
        tmux.becomes(&format!("{first} is above {second}"), |shown| {
            let place = |key: &str| shown.find(key);
            place(first).is_some_and(|at| Some(at) < place(second))
        });
    };
    begins_with("cart:1", "order:1");
    tmux.press(&["w"]);
    tmux.shows("by waiters");
    begins_with("order:1", "cart:1");
    tmux.press(&["/", "c", "a", "r"]);
    tmux.shows("with `car_`");
    tmux.becomes("the other is left out", |shown| !shown.contains("order:1"));
    tmux.press(&["Enter"]);
    tmux.shows("with `car`");
    tmux.press(&["Space"]);
    tmux.shows("paused");
    tmux.press(&["Space"]);
    tmux.becomes("it goes on", |shown| !shown.contains("paused"));
    tmux.press(&["Escape"]);
    tmux.shows("order:1");
    tmux.press(&["C-c"]);
    tmux.is_given_back(0);
}

#[tokio::test]
async fn the_beginning_of_the_keys_and_filters_leave_out_others() {
    let server = server();
    let pool = pool(&server).await;
    let _order = hold(&pool, "order:1").await;
    let _cart = hold(&pool, "cart:1").await;
    let tmux = Tmux::start(&server, "$LOCKATTR watch order: --function main.rs");
    tmux.shows_line(&["watch order:", "1 key "]);
    tmux.shows_line(&["order:1", "exclusive"]);
    assert!(!tmux.text().contains("cart:1"));
}

#[tokio::test]
async fn a_signal_gives_the_terminal_back() {
    let server = server();
    let pool = pool(&server).await;
    let _guard = hold(&pool, "order:1").await;
    for (signal, code) in [("TERM", 143), ("HUP", 129), ("INT", 130)] {
        let line = "sh -c 'echo $$ >$FOLDER/id; exec $LOCKATTR watch'";
        let tmux = Tmux::start(&server, line);
        tmux.shows("order:1");
        let id = tmux.folder().read("id");
        let mut kill = std::process::Command::new("kill");
        let killed = kill.args(["-s", signal, id.trim()]).status().unwrap();
        assert!(killed.success(), "{signal}");
        tmux.is_given_back(code);
        assert!(!tmux.text().contains("order:1"), "{}", tmux.text());
    }
}

#[tokio::test]
async fn ctrl_z_gives_the_terminal_back_until_fg() {
    let server = server();
    let pool = pool(&server).await;
    let _guard = hold(&pool, "order:1").await;
    let tmux = Tmux::start(&server, "PS1='ready> ' sh -i");
    tmux.shows("ready>");
    tmux.press(&["$LOCKATTR watch", "Enter"]);
    tmux.shows_line(&["order:1", "exclusive"]);
    tmux.press(&["C-z"]);
    tmux.shows("Stopped");
    assert!(!tmux.text().contains("order:1"), "{}", tmux.text());
    tmux.press(&["fg", "Enter"]);
    tmux.shows_line(&["order:1", "exclusive"]);
    tmux.press(&["q"]);
    tmux.becomes("the shell has it again", |shown| {
        !shown.contains("order:1") && shown.trim_end().ends_with("ready>")
    });
    tmux.press(&["exit", "Enter"]);
    tmux.is_given_back(0);
}

#[tokio::test]
async fn a_service_that_is_gone_for_a_while_is_asked_again() {
    let mut server = server();
    let tmux = Tmux::start(&server, "$LOCKATTR watch --interval 100ms");
    tmux.shows("0 keys");
    server.kill();
    tmux.shows("lock service");
    server.restart();
    server.allow_inspection();
    let pool = pool(&server).await;
    let _guard = hold(&pool, "order:1").await;
    tmux.shows_line(&["order:1", "exclusive"]);
    tmux.becomes("all is well", |shown| !shown.contains("lock service"));
}

/// Reads a line of JSON for each refresh, until one is as it should be.
fn lines_until(running: Running, is_so: impl Fn(&Value) -> bool) -> (Said, Value) {
    let found = std::cell::RefCell::new(None);
    lockattr_tests::eventually("a refresh shows it", || {
        let text = running.out();
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let mut lines = lines.filter(|line: &Value| is_so(line));
        *found.borrow_mut() = lines.next();
        found.borrow().is_some()
    });
    running.signal(Signal::SIGTERM);
    (running.end(), found.into_inner().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn json_has_a_line_for_each_refresh() {
    let server = server();
    let (pool, other) = (pool(&server).await, pool(&server).await);
    let hot = pool.lock("hot").ttl(LONG);
    let is_over = std::sync::Arc::new(AtomicBool::new(false));
    let is_seen = std::sync::Arc::clone(&is_over);
    let granted = tokio::spawn(async move {
        while !is_seen.load(Ordering::Relaxed) {
            let guard = hot.clone().acquire().await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            guard.release().await;
        }
    });
    let guard = hold(&pool, "order:1").await;
    let _waiting = wait_for(&other, "order:1").await;
    let arguments = [
        "watch",
        "--json",
        "--interval",
        "100ms",
        "--sort",
        "waiters",
    ];
    let command = lockattr(&server, arguments);
    let running = Running::start(&mut with_all_signals(&command));
    let is_hot = |row: &Value| {
        let rate = row["grants_per_second_at_least"].as_f64();
        row["key"] == "hot" && rate.is_some_and(|rate| rate > 0.0)
    };
    let (said, line) = lines_until(running, |line| {
        line["top"].as_array().unwrap().iter().any(is_hot)
    });
    is_over.store(true, Ordering::Relaxed);
    granted.await.unwrap();
    assert_eq!(said.err, "");
    assert_eq!((&line["keys"], &line["holders"]), (&2.into(), &2.into()));
    assert_eq!(line["waiters"], 1);
    assert!(line["at"].as_str().unwrap().ends_with('Z'), "{line}");
    assert!(line["took_ms"].is_u64(), "{line}");
    let first = &line["top"][0];
    assert_eq!(first["key"], "order:1");
    assert_eq!(first["token"], guard.fencing_token());
    assert_eq!(
        (&first["holders"], &first["waiters"]),
        (&1.into(), &1.into())
    );
    assert_eq!(first["grants_per_second_at_least"], 0.0);
}

#[tokio::test]
async fn no_more_keys_are_printed_than_are_wanted() {
    let server = server();
    let pool = pool(&server).await;
    let _a = hold(&pool, "a").await;
    let _b = hold(&pool, "b").await;
    let arguments = ["watch", "--json", "--sort", "key", "--limit", "1"];
    let command = lockattr(&server, arguments);
    let running = Running::start(&mut with_all_signals(&command));
    let (_, line) = lines_until(running, |line| line["keys"] == 2);
    let top = line["top"].as_array().unwrap();
    assert_eq!((top.len(), &top[0]["key"]), (1, &"a".into()));
    assert_eq!(top[0]["grants_per_second_at_least"], Value::Null);
}

#[tokio::test]
async fn what_it_cannot_do_is_said() {
    let server = server();
    let said = run(&mut lockattr(&server, ["watch"])).exits_with(64);
    for part in ["terminal", "`lockattr ls`", "--json"] {
        assert!(said.error().contains(part), "{said:?}");
    }
    let arguments = ["watch", "--json", "--interval", "1ms"];
    let said = run(&mut lockattr(&server, arguments)).exits_with(64);
    assert!(said.err.contains("100ms"), "{said:?}");
    let tmux = Tmux::start(&server, "$LOCKATTR watch -v");
    tmux.shows("leave -v out");
    tmux.is_given_back(64);
    // Without the rights to look at locks.
    let server = RedisServer::start();
    let said = run(&mut lockattr(&server, ["watch", "--json"])).exits_with(69);
    assert!(said.error().contains("+scan"), "{said:?}");
    let tmux = Tmux::start(&server, "$LOCKATTR watch");
    tmux.shows("+scan");
    tmux.is_given_back(69);
}

/// The other commands, on a terminal.
#[tokio::test(flavor = "multi_thread")]
async fn ls_and_inspect_are_readable_on_a_terminal() {
    let server = server();
    let (pool, other) = (pool(&server).await, pool(&server).await);
    let guard = hold(&pool, "order:1").await;
    let _waiting = wait_for(&other, "order:1").await;
    let tmux = Tmux::start(&server, "$LOCKATTR ls");
    tmux.shows_line(&["KEY", "MODE", "HOLDER", "FUNCTION", "TOKEN", "WAITERS"]);
    let token = guard.fencing_token().to_string();
    tmux.shows_line(&["order:1", "exclusive", "main.rs:", &token]);
    tmux.is_given_back(0);
    let tmux = Tmux::start(&server, "$LOCKATTR inspect order:1");
    tmux.shows("order:1: 1 holder, 1 waiting");
    tmux.shows_line(&["token", &token]);
    tmux.shows_line(&["PLACE", "WAITER", "FUNCTION", "MODE"]);
    tmux.shows_line(&["1", "main.rs:", "exclusive"]);
    tmux.is_given_back(0);
    eventually_async("it is still held", || async { guard.is_valid() }).await;
}
