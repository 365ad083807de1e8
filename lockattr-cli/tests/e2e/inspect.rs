//! `lockattr inspect`.

use std::collections::BTreeSet;

use lockattr_tests::eventually_async;

use crate::program::{lockattr, run};
use crate::{LONG, hold, pool, server, wait_for};

#[tokio::test(flavor = "multi_thread")]
async fn a_held_key_is_described() {
    let server = server();
    let (pool, other) = (pool(&server).await, pool(&server).await);
    let guard = hold(&pool, "order:1").await;
    let _waiting = wait_for(&other, "order:1").await;
    let said = run(&mut lockattr(&server, ["inspect", "order:1"])).exits_with(0);
    let token = guard.fencing_token().to_string();
    let process = format!("/{}", std::process::id());
    for part in [
        "order:1: 1 holder, 1 waiting",
        &token,
        &process,
        "e2e/main.rs:",
        "exclusive",
        "running",
    ] {
        assert!(said.out.contains(part), "{part}: {said:?}");
    }
    let said = run(&mut lockattr(&server, ["inspect", "order:1", "--json"])).exits_with(0);
    let object = &said.objects()[0];
    assert_eq!(object["key"], "order:1");
    assert_eq!(object["held"], true);
    assert_eq!(object["waiters"], 1);
    assert_eq!(object["holders"][0]["token"], guard.fencing_token());
}

/// The fields that the README documents.
const FIELDS: [&str; 7] = [
    "function", "host", "mode", "permits", "pid", "since", "weight",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_is_shown_in_its_order() {
    let server = server();
    let pools = [
        pool(&server).await,
        pool(&server).await,
        pool(&server).await,
    ];
    let _writer = hold(&pools[0], "prices").await;
    let mut waiting = Vec::new();
    for (place, request) in [
        pools[1].lock("prices").shared().caller("shop::price"),
        pools[2].lock("prices").caller("shop::reprice"),
        pools[1].lock("prices").shared().caller("shop::price"),
    ]
    .into_iter()
    .enumerate()
    {
        waiting.push(tokio::spawn(request.ttl(LONG).wait(LONG).acquire()));
        eventually_async("it waits", || async {
            pools[0].queue("prices", 0).await.unwrap().len() == place + 1
        })
        .await;
    }
    let said = run(&mut lockattr(&server, ["inspect", "prices"])).exits_with(0);
    assert!(said.out.contains("1 holder, 3 waiting"), "{said:?}");
    let lines: Vec<Vec<&str>> = said
        .out
        .lines()
        .skip_while(|line| !line.starts_with("PLACE"))
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines[0],
        ["PLACE", "WAITER", "FUNCTION", "MODE"],
        "{said:?}"
    );
    for (line, (place, function, mode)) in lines[1..].iter().zip([
        ("1", "shop::price", "shared"),
        ("2", "shop::reprice", "exclusive"),
        ("3", "shop::price", "shared"),
    ]) {
        assert_eq!(
            (line[0], line[2], line[3]),
            (place, function, mode),
            "{said:?}"
        );
        assert!(
            line[1].ends_with(&format!("/{}", std::process::id())),
            "{said:?}"
        );
    }
    assert_eq!(lines.len(), 4, "{said:?}");
    let arguments = ["inspect", "prices", "--limit", "2"];
    let said = run(&mut lockattr(&server, arguments)).exits_with(0);
    assert!(said.out.ends_with("and 1 more; see --limit\n"), "{said:?}");
    assert!(said.out.contains("3 waiting"), "{said:?}");
    let said = run(lockattr(&server, arguments).arg("--json")).exits_with(0);
    let object = &said.objects()[0];
    assert_eq!(object["waiters"], 3);
    let queue = object["queue"].as_array().unwrap();
    assert_eq!(queue.len(), 2);
    let names = queue[0].as_object().unwrap().keys().map(String::as_str);
    assert_eq!(names.collect::<BTreeSet<_>>(), BTreeSet::from(FIELDS));
    assert_eq!(queue[1]["function"], "shop::reprice");
    assert_eq!(
        (&queue[0]["mode"], &queue[1]["mode"]),
        (&"shared".into(), &"exclusive".into())
    );
    assert_eq!(queue[0]["since"], serde_json::Value::Null);
    assert_eq!(server.refusals(), 0);
}

/// Nobody has the key, and those that wait have not asked again yet.
#[tokio::test(flavor = "multi_thread")]
async fn waiters_for_a_free_key_are_shown_too() {
    let server = server();
    let (pool, other) = (pool(&server).await, pool(&server).await);
    let guard = hold(&pool, "order:1").await;
    let waiting = wait_for(&other, "order:1").await;
    let name = server.keys("*#queue:*").remove(0);
    waiting.abort();
    guard.release().await;
    eventually_async("all is given up", || async {
        server.keys("*:order:1").is_empty()
    })
    .await;
    let place = "1:owner:400:32:channel:web-1/7 shop::pay";
    server.raw(&["RPUSH", &name, place]).unwrap();
    let said = run(&mut lockattr(&server, ["inspect", "order:1"])).exits_with(1);
    assert!(
        said.out.starts_with("order:1: free, 1 waiting\n"),
        "{said:?}"
    );
    assert!(
        said.out.contains("web-1/7  shop::pay  exclusive"),
        "{said:?}"
    );
    assert!(!said.out.contains("owner"), "{said:?}");
}

#[tokio::test]
async fn a_missing_right_is_named() {
    let server = server();
    server
        .raw(&["ACL", "SETUSER", "locker", "-lrange"])
        .unwrap();
    let said = run(&mut lockattr(&server, ["inspect", "order:1"])).exits_with(69);
    assert!(said.error().contains("+lrange"), "{said:?}");
}

#[tokio::test]
async fn all_holders_are_described() {
    let server = server();
    let (pool, other) = (pool(&server).await, pool(&server).await);
    let one = pool.lock("prices").shared().await.unwrap();
    let two = other.lock("prices").shared().await.unwrap();
    let said = run(&mut lockattr(&server, ["inspect", "prices"])).exits_with(0);
    assert!(
        said.out.contains("prices: 2 holders, 0 waiting"),
        "{said:?}"
    );
    for guard in [&one, &two] {
        let token = guard.fencing_token().to_string();
        assert!(said.out.contains(&token), "{said:?}");
    }
}

#[tokio::test]
async fn a_free_key_is_free() {
    let server = server();
    let said = run(&mut lockattr(&server, ["inspect", "order:1"])).exits_with(1);
    assert_eq!(said.out, "order:1: free\n");
    let said = run(&mut lockattr(&server, ["inspect", "order:1", "--json"])).exits_with(1);
    assert_eq!(said.objects()[0]["held"], false);
    let said = run(&mut lockattr(&server, ["inspect", ""])).exits_with(64);
    assert!(said.error().contains("no usable key"), "{said:?}");
}
