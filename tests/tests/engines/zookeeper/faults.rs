//! Sessions that end, connections that break, and servers that go.

use std::time::Duration;

use lockattr::LockPool;
use lockattr_tests::{Direction, Network, Policy, Proxy, ZooKeepers, eventually, eventually_async};

use super::{builder, pool};

const TTL: Duration = Duration::from_secs(1);

async fn behind(proxy: &Proxy) -> LockPool {
    let url = format!("zookeeper://127.0.0.1:{}", proxy.port());
    let builder = builder(&url).default_ttl(TTL).response_timeout(TTL / 4);
    builder.build().await.expect("a pool")
}

/// The process goes on, and cannot reach the server: it gives its lease up before others get it, and its
/// own waiters ask anew.
#[tokio::test]
async fn a_session_that_ends_takes_its_locks_with_it() {
    let servers = ZooKeepers::start(1);
    let proxy = Proxy::start(servers.node(0).port());
    let (cut_off, other) = (behind(&proxy).await, pool(&servers.url()).await);
    let lost = cut_off.lock("held").acquire().await.unwrap();
    let blocks = other.lock("wanted").acquire().await.unwrap();
    let waits = cut_off.lock("wanted").wait(Duration::from_secs(30));
    let waiting = tokio::spawn(waits.acquire());
    eventually_async("it waits", async || {
        other.queue("wanted", 9).await.unwrap().len() == 1
    })
    .await;
    let next = tokio::spawn(other.lock("held").wait(Duration::from_secs(30)).acquire());
    proxy.set_both(Policy::Drop);
    lost.lease().lost().await;
    assert!(!next.is_finished(), "the holder knows first");
    let next = next.await.unwrap().unwrap();
    assert!(next.lease().fencing_token() > lost.lease().fencing_token());
    eventually_async("its place in the queue is gone", async || {
        other.queue("wanted", 9).await.unwrap().is_empty()
    })
    .await;
    proxy.set_both(Policy::Pass);
    proxy.cut();
    eventually_async("it waits again", async || {
        other.queue("wanted", 9).await.unwrap().len() == 1
    })
    .await;
    blocks.release().await;
    waiting.await.unwrap().unwrap().release().await;
    next.release().await;
    drop(lost);
    eventually("nothing is left", || servers.places().is_empty());
}

#[tokio::test]
async fn a_connection_that_breaks_costs_no_lease() {
    let servers = ZooKeepers::start(3);
    let proxy = Proxy::start(servers.node(0).port());
    let pool = behind(&proxy).await;
    // A renewal is a transaction, and a busy machine may take longer for it than a connection lasts here.
    let guard = pool.lock("k").ttl(TTL * 2).acquire().await.unwrap();
    for round in 0..12 {
        // To the next server of the ensemble.
        proxy.lead_to(servers.node(round % 3).port());
        let before = guard.lease().expires_at();
        proxy.cut();
        eventually("it is renewed", || {
            guard.lease().expires_at() > before + TTL / 3
        });
        assert!(guard.lease().is_valid(), "round {round}");
    }
    assert!(guard.release().await.is_none(), "it was held to the end");
    eventually("nothing is left", || servers.places().is_empty());
}

#[tokio::test]
async fn a_leader_that_is_killed_costs_no_lease() {
    let mut servers = ZooKeepers::start(3);
    let pool = pool(&servers.url()).await;
    let ttl = Duration::from_secs(8);
    let guard = pool.lock("k").ttl(ttl).acquire().await.unwrap();
    let leader = servers.leader().expect("there is one");
    servers.node_mut(leader).kill();
    eventually("another one leads", || servers.leader().is_some());
    let second = pool.lock("other").ttl(ttl).wait(ttl).acquire().await;
    second.unwrap().release().await;
    guard.lease().extend(ttl).await.unwrap();
    let before = guard.lease().fencing_token();
    assert!(guard.release().await.is_none(), "it was held to the end");
    let next = pool.lock("k").ttl(ttl).acquire().await.unwrap();
    assert!(next.lease().fencing_token() > before, "{before}");
    next.release().await;
    servers.node_mut(leader).restart();
    eventually("all are there again", || servers.is_whole());
    eventually("nothing is left", || servers.places().is_empty());
}

/// A leader that the others cannot reach goes on for a while, and does not know that they have chosen another
/// one, with which sessions end.
#[tokio::test]
async fn a_leader_without_followers_renews_nothing() {
    let network = Network::new();
    let servers = ZooKeepers::start_in(&network, 3);
    let leader = servers.node(servers.leader().expect("there is one"));
    let url = format!("zookeeper://127.0.0.1:{}", leader.port());
    let builder = builder(&url).response_timeout(TTL);
    let pool = builder.build().await.expect("a pool");
    let guard = pool.lock("k").ttl(TTL * 8).acquire().await.unwrap();
    guard.lease().extend(TTL * 8).await.unwrap();
    network.cut_off_from_servers(leader.host());
    let renewed = guard.lease().extend(TTL * 8).await;
    renewed.expect_err("no majority knows that the session lives");
}

/// The connection ends at each byte of the answers to an acquire.
#[tokio::test]
async fn an_answer_that_is_lost_leaves_no_orphan() {
    let servers = ZooKeepers::start(1);
    let proxy = Proxy::start(servers.node(0).port());
    let pool = behind(&proxy).await;
    let mut cuts = 0;
    for bytes in (1..400).step_by(13) {
        proxy.cut_after(Direction::Replies, bytes);
        let acquired = pool.lock("k").wait(TTL * 10).acquire().await;
        let guard = acquired.unwrap_or_else(|error| panic!("after {bytes} bytes: {error}"));
        let mut places = servers.places();
        places.retain(|place| !place.contains("%probe"));
        assert_eq!(places.len(), 1, "after {bytes} bytes");
        guard.release().await;
        cuts += u32::from(proxy.has_cut());
        eventually("nothing is left", || servers.places().is_empty());
        let none = u32::MAX.into();
        proxy.cut_after(Direction::Replies, none);
    }
    assert!(cuts > 10, "{cuts}");
}

/// The caller is gone when the answer could come.
#[tokio::test]
async fn a_call_that_was_dropped_while_the_answer_was_lost_leaves_no_orphan() {
    let servers = ZooKeepers::start(1);
    let proxy = Proxy::start(servers.node(0).port());
    let pool = behind(&proxy).await;
    for round in 0..12_u32 {
        proxy.set(Direction::Replies, Policy::Drop);
        let call = pool.lock(format!("k{round}")).acquire();
        let dropped = tokio::time::timeout(TTL / 20 * round, call).await;
        assert!(dropped.is_err());
        proxy.set(Direction::Replies, Policy::Pass);
        proxy.cut();
    }
    eventually("nothing is left", || servers.places().is_empty());
    pool.lock("k0").acquire().await.unwrap().release().await;
}
