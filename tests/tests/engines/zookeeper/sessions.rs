//! Which session a lease is in, and what happens while there is none.

use std::time::Duration;

use lockattr_tests::{Proxy, ZooKeepers, eventually, eventually_async};
use zookeeper_client::{Acl, Acls, AuthId, Client, CreateMode, Permission};

use super::{builder, pool};

const TTL: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_default_ttl_that_no_session_lasts_for_is_refused_at_the_start() {
    // As it is if no file says anything else.
    let servers = ZooKeepers::start_with(1, &["maxSessionTimeout=40000"]);
    let refused = builder(&servers.url()).build().await.unwrap_err();
    let refused = refused.to_string();
    for part in ["30s", "at most 20s", "default_ttl", "maxSessionTimeout"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    let builder = builder(&servers.url()).default_ttl(Duration::from_secs(20));
    let pool = builder.build().await.unwrap();
    let guard = pool.lock("k").acquire().await.unwrap();
    guard.lease().extend(Duration::from_secs(20)).await.unwrap();
    assert!(guard.release().await.is_none());
}

#[tokio::test]
async fn the_longest_timeouts_are_taken() {
    let servers = ZooKeepers::start(1);
    let longest = Duration::MAX;
    let builder = builder(&servers.url()).connect_timeout(longest);
    let pool = builder.response_timeout(longest).build().await.unwrap();
    let guard = pool.lock("k").acquire().await.unwrap();
    assert!(guard.release().await.is_none());
}

/// The lease was asked for by a call with a short ttl, and so is in a short session.
#[tokio::test]
async fn a_call_with_a_longer_ttl_does_not_get_the_lease_of_one_that_gave_up() {
    let servers = ZooKeepers::start(1);
    let [other, ours] = [pool(&servers.url()).await, pool(&servers.url()).await];
    let held = other.lock("k").acquire().await.unwrap();
    let short = tokio::spawn(ours.lock("k").ttl(TTL).wait(LONG).acquire());
    eventually_async("it waits", async || {
        other.queue("k", 9).await.unwrap().len() == 1
    })
    .await;
    let mut long = Box::pin(ours.lock("k").ttl(TTL * 10).wait(LONG).acquire());
    let early = tokio::time::timeout(TTL / 20, &mut long).await;
    assert!(early.is_err(), "it stands behind the first in its process");
    short.abort();
    assert!(short.await.is_err());
    assert_eq!(other.queue("k", 9).await.unwrap().len(), 1);
    held.release().await;
    let guard = long.await.unwrap();
    let renewed = guard.lease().extend(TTL * 10).await;
    renewed.expect("its session lasts as long as it asked for");
    assert!(guard.release().await.is_none(), "it was held to the end");
}

/// They are more than the requests that the backend lets be on their way.
#[tokio::test]
async fn calls_that_wait_for_a_session_keep_no_lease_from_its_renewal() {
    let servers = ZooKeepers::start(1);
    let proxy = Proxy::start(servers.node(0).port());
    let url = format!("zookeeper://127.0.0.1:{}", proxy.port());
    let pool = builder(&url).default_ttl(TTL * 4).build().await.unwrap();
    let guard = pool.lock("held").acquire().await.unwrap();
    proxy.refuse(true);
    let mut calls = Vec::new();
    for number in 0..100 {
        let call = pool.lock(format!("k{number}")).ttl(LONG).wait(LONG);
        calls.push(tokio::spawn(call.acquire()));
    }
    // The first of these is asked for when the calls have been.
    for _ in 0..20 {
        guard.lease().extend(TTL * 4).await.unwrap();
    }
    assert!(guard.release().await.is_none(), "it was held to the end");
    proxy.refuse(false);
    for call in calls {
        call.await.unwrap().unwrap().release().await;
    }
    eventually("nothing is left", || servers.places().is_empty());
}

/// A user with rights on one node, and none above it.
#[tokio::test]
async fn a_user_of_the_chroot_needs_no_other_rights() {
    let servers = ZooKeepers::start(1);
    let proxy = Proxy::start(servers.node(0).port());
    let server = format!("127.0.0.1:{}", servers.node(0).port());
    let user = Client::connector().with_auth("digest", b"me:secret");
    let user = user.connect(&server).await.unwrap();
    let options = CreateMode::Persistent.with_acls(Acls::creator_all());
    user.create("/locks", b"", &options).await.unwrap();
    let admin = Client::connector().with_auth("digest", b"root:secret");
    let admin = admin.connect(&server).await.unwrap();
    let rights = |rights| [Acl::new(rights, AuthId::authed())];
    let of_user = rights(Permission::CREATE | Permission::DELETE | Permission::READ);
    user.set_acl("/locks", &of_user, None).await.unwrap();
    let of_admin = rights(Permission::ALL);
    admin.set_acl("/", &of_admin, None).await.unwrap();
    assert!(user.list_children("/").await.is_err(), "it is closed");

    let url = format!("zookeeper://me:secret@127.0.0.1:{}/locks", proxy.port());
    let pool = builder(&url).build().await.unwrap();
    let guard = pool.lock("k").acquire().await.unwrap();
    proxy.cut();
    eventually_async("it is renewed by another connection", async || {
        guard.lease().extend(TTL * 30).await.is_ok()
    })
    .await;
    assert!(guard.release().await.is_none(), "it was held to the end");
}
