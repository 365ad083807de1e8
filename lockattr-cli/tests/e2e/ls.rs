//! `lockattr ls`.

use std::collections::BTreeSet;
use std::process::Stdio;

use lockattr_tests::RedisServer;
use serde_json::Value;

use crate::program::{lockattr, run};
use crate::{hold, pool, server, wait_for};

/// The fields that the README documents.
const FIELDS: [&str; 12] = [
    "finished",
    "function",
    "host",
    "key",
    "mode",
    "permits",
    "pid",
    "since",
    "token",
    "ttl_left_ms",
    "waiters",
    "weight",
];

fn keys(server: &RedisServer, arguments: &[&str]) -> Vec<String> {
    let said = run(lockattr(server, ["ls", "--json"]).args(arguments)).exits_with(0);
    let objects = said.objects();
    let keys = objects.iter().map(|object| object["key"].as_str().unwrap());
    keys.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_shows_who_holds_what() {
    let server = server();
    let (pool, other) = (pool(&server).await, pool(&server).await);
    let guard = hold(&pool, "order:1").await;
    let waiting = wait_for(&other, "order:1").await;
    let _permits = pool.lock("slots").permits(5).weight(2).acquire().await;
    let said = run(&mut lockattr(&server, ["ls"])).exits_with(0);
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines.len(), 3, "{said:?}");
    let header = [
        "KEY", "MODE", "HOLDER", "FUNCTION", "TOKEN", "HELD", "TTL", "WAITERS",
    ];
    assert!(lines[0].split_whitespace().eq(header), "{said:?}");
    let columns: Vec<&str> = lines[1].split("  ").map(str::trim).collect();
    let columns: Vec<&str> = columns.into_iter().filter(|it| !it.is_empty()).collect();
    assert_eq!(columns[..2], ["order:1", "exclusive"], "{said:?}");
    let process = format!("/{}", std::process::id());
    assert!(columns[2].ends_with(&process), "{said:?}");
    assert!(columns[3].contains("e2e/main.rs:"), "{said:?}");
    assert_eq!(columns[4], guard.fencing_token().to_string(), "{said:?}");
    assert_eq!(columns.last(), Some(&"1"), "{said:?}");
    assert!(lines[2].contains("2 of 5 permits"), "{said:?}");
    assert!(
        !said.out.contains('\x1b'),
        "a pipe gets no colours: {said:?}"
    );
    let colored = run(&mut lockattr(&server, ["ls", "--color", "always"])).exits_with(0);
    assert!(colored.out.contains('\x1b'), "{colored:?}");
    guard.release().await;
    waiting.await.unwrap().release().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_has_the_documented_fields() {
    let server = server();
    let (pool, other) = (pool(&server).await, pool(&server).await);
    let guard = hold(&pool, "order:1").await;
    let _waiting = wait_for(&other, "order:1").await;
    let said = run(&mut lockattr(&server, ["ls", "--json"])).exits_with(0);
    let [object] = &said.objects()[..] else {
        panic!("{said:?}");
    };
    let names = object.as_object().unwrap().keys().map(String::as_str);
    assert_eq!(names.collect::<BTreeSet<_>>(), BTreeSet::from(FIELDS));
    let holder = pool.holder("order:1").await.unwrap().unwrap();
    let place = holder.who.split(' ').next().unwrap();
    assert_eq!(
        Some(object["host"].as_str().unwrap()),
        place.split('/').next()
    );
    assert_eq!(object["pid"], std::process::id());
    assert_eq!(object["token"], guard.fencing_token());
    assert_eq!(object["mode"], "exclusive");
    assert_eq!(object["permits"], Value::Null);
    assert_eq!(object["waiters"], 1);
    assert_eq!(object["finished"], false);
    assert!(
        object["ttl_left_ms"].as_u64().unwrap() > 300_000,
        "{said:?}"
    );
    assert!(object["since"].as_str().unwrap().ends_with('Z'), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_leave_out_what_does_not_fit() {
    let server = server();
    let (pool, other) = (pool(&server).await, pool(&server).await);
    let _order = hold(&pool, "order:1").await;
    let _cart = hold(&pool, "cart:1").await;
    let _waiting = wait_for(&other, "cart:1").await;
    let place = pool.holder("cart:1").await.unwrap().unwrap().who;
    let host = place.split('/').next().unwrap();
    for (arguments, expected) in [
        (&["--sort", "key"][..], &["cart:1", "order:1"][..]),
        (&["order:"], &["order:1"]),
        (&["nothing:"], &[]),
        (&["--waited"], &["cart:1"]),
        (&["--waited", "order:"], &[]),
        (&["--host", host, "order:"], &["order:1"]),
        (&["--host", "another"], &[]),
        (&["--function", "e2e/main.rs", "order:"], &["order:1"]),
        (&["--function", "another"], &[]),
        (&["--longer-than", "0s", "order:"], &["order:1"]),
        (&["--longer-than", "1h"], &[]),
    ] {
        assert_eq!(keys(&server, arguments), expected, "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_can_be_chosen() {
    let server = server();
    let (pool, other) = (pool(&server).await, pool(&server).await);
    let lock = |key, seconds| {
        let request = pool.lock(key);
        request.ttl(std::time::Duration::from_secs(seconds))
    };
    // Renewed after a third of their ttl, so in this order all the time.
    let _b = lock("b", 500).acquire().await.unwrap();
    let _a = lock("a", 100).acquire().await.unwrap();
    let _c = lock("c", 1000).acquire().await.unwrap();
    let _waiting = wait_for(&other, "c").await;
    for (by, expected) in [
        ("key", ["a", "b", "c"]),
        ("ttl", ["a", "b", "c"]),
        ("waiters", ["c", "a", "b"]),
    ] {
        assert_eq!(keys(&server, &["--sort", by]), expected, "{by}");
    }
    // Two may have begun in the same millisecond; the server's clock can be behind ours.
    let since = keys(&server, &["--sort", "held"]);
    let began = |key: &str| {
        let said = run(&mut lockattr(&server, ["inspect", key, "--json"]));
        said.objects()[0]["holders"][0]["since"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let began: Vec<String> = since.iter().map(|key| began(key)).collect();
    assert_eq!(began.len(), 3);
    assert!(began.is_sorted(), "{since:?} {began:?}");
}

/// More than a server looks at for one question.
#[tokio::test(flavor = "multi_thread")]
async fn all_pages_are_listed() {
    const MANY: usize = 400;
    let server = server();
    let pool = pool(&server).await;
    let mut guards = Vec::new();
    for id in 0..MANY {
        guards.push(hold(&pool, &format!("order:{id}")).await);
    }
    let found: BTreeSet<String> = keys(&server, &["order:"]).into_iter().collect();
    assert_eq!(found.len(), MANY);
    let said = run(&mut lockattr(&server, ["ls", "order:"])).exits_with(0);
    assert_eq!(said.out.lines().count(), MANY + 1);
}

#[tokio::test]
async fn foreign_values_and_no_locks_are_listed_too() {
    let server = server();
    let said = run(&mut lockattr(&server, ["ls"])).exits_with(0);
    assert_eq!((&*said.out, &*said.err), ("", ""));
    let pool = pool(&server).await;
    let guard = hold(&pool, "order:1").await;
    let name = server.locks().remove(0);
    guard.release().await;
    server.raw(&["SET", &name, "hello"]).unwrap();
    let said = run(&mut lockattr(&server, ["ls", "--json"])).exits_with(0);
    let object = &said.objects()[0];
    for field in ["host", "pid", "function", "token", "since", "ttl_left_ms"] {
        assert_eq!(object[field], Value::Null, "{said:?}");
    }
    let said = run(&mut lockattr(&server, ["ls"])).exits_with(0);
    assert!(said.out.contains("order:1  exclusive  -"), "{said:?}");
}

#[tokio::test]
async fn a_missing_right_is_named() {
    let server = RedisServer::start();
    let said = run(&mut lockattr(&server, ["ls"])).exits_with(69);
    for part in ["+llen", "+lrange", "+scan"] {
        assert!(said.error().contains(part), "{said:?}");
    }
    assert_eq!(said.out, "");
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_failure() {
    let server = server();
    let pool = pool(&server).await;
    let _guard = hold(&pool, "order:1").await;
    let mut command = lockattr(&server, ["ls"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
