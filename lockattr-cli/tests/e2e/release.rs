//! `lockattr release`.

use std::time::Duration;

use lockattr::LossReason;
use lockattr_tests::RedisServer;

use crate::program::{lockattr, run};
use crate::{hold, pool, server};

#[tokio::test]
async fn nothing_is_released_unless_it_is_meant() {
    let server = server();
    let pool = pool(&server).await;
    let guard = hold(&pool, "order:1").await;
    let token = guard.fencing_token().to_string();
    for (arguments, missing) in [
        (&["--yes"][..], "--force"),
        (&[], "--force"),
        (&["--force"], "--yes"),
    ] {
        let said = run(lockattr(&server, ["release", "order:1"]).args(arguments)).exits_with(64);
        assert!(said.error().contains(missing), "{said:?}");
        assert!(said.error().contains("order:1"), "{said:?}");
        // Who loses it, and what that breaks.
        assert!(said.out.contains(&token), "{said:?}");
        assert!(said.out.contains("fencing tokens"), "{said:?}");
        assert!(pool.is_locked("order:1").await.unwrap());
    }
    assert!(guard.is_valid());
}

#[tokio::test]
async fn a_holder_loses_what_is_taken_away() {
    let server = server();
    let pool = pool(&server).await;
    let request = pool.lock("job").ttl(Duration::from_secs(6));
    let stuck = request.acquire().await.unwrap();
    let arguments = ["release", "job", "--force", "--yes"];
    let said = run(&mut lockattr(&server, arguments)).exits_with(0);
    assert!(said.out.contains("`job` was released"), "{said:?}");
    assert_eq!(stuck.lost().await, LossReason::Gone);
    assert!(!pool.is_locked("job").await.unwrap());
    let said = run(&mut lockattr(&server, arguments)).exits_with(1);
    assert!(said.error().contains("free"), "{said:?}");
}

#[tokio::test]
async fn a_release_is_told_in_json() {
    let server = server();
    let pool = pool(&server).await;
    let guard = hold(&pool, "job").await;
    let arguments = ["release", "job", "--force", "--yes", "--json"];
    let said = run(&mut lockattr(&server, arguments)).exits_with(0);
    let object = &said.objects()[0];
    assert_eq!(object["key"], "job");
    assert_eq!(object["released"], true);
    assert_eq!(object["holders"][0]["token"], guard.fencing_token());
    let said = run(&mut lockattr(&server, arguments)).exits_with(1);
    assert_eq!(said.objects()[0]["released"], false);
}

#[tokio::test]
async fn a_missing_right_releases_nothing() {
    let server = RedisServer::start();
    let pool = pool(&server).await;
    let _guard = hold(&pool, "job").await;
    let arguments = ["release", "job", "--force", "--yes"];
    let said = run(&mut lockattr(&server, arguments)).exits_with(69);
    assert!(said.error().contains("+llen"), "{said:?}");
    assert_eq!(server.locks().len(), 1);
}
