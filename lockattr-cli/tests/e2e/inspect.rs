//! `lockattr inspect`.

use crate::program::{lockattr, run};
use crate::{hold, pool, server, wait_for};

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
