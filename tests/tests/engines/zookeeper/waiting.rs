//! The queue.

use std::time::Duration;

use lockattr_tests::{Policy, Proxy, ZooKeepers, eventually, eventually_async};
use zookeeper_client::Client;

use super::{builder, pool};

const LONG: Duration = Duration::from_secs(60);
const WAITERS: usize = 16;
/// More than the requests of one handoff, with the inspections and pings of the time that it takes: a
/// release, a look, a new lease's first renewal, and the next waiter's watch.
const REQUESTS_PER_HANDOFF: f64 = 16.0;

/// A release wakes one waiter, however many there are.
#[expect(clippy::cast_precision_loss, reason = "a few waiters")]
#[tokio::test]
async fn there_is_no_herd() {
    let servers = ZooKeepers::start(1);
    let server = servers.node(0);
    let first = pool(&servers.url()).await;
    let guard = first.lock("k").acquire().await.unwrap();
    let mut pools = Vec::new();
    let mut waiting = Vec::new();
    for count in 1..=WAITERS {
        let pool = pool(&servers.url()).await;
        let request = pool.lock("k").wait(Duration::from_secs(60));
        waiting.push(tokio::spawn(request.acquire()));
        pools.push(pool);
        eventually_async("it waits", async || {
            server.counted("zk_watch_count") == Some(count as f64)
        })
        .await;
    }
    let received = || {
        server
            .counted("zk_packets_received")
            .expect("it is counted")
    };
    let before = received();
    let mut present = guard;
    for next in waiting {
        let token = present.lease().fencing_token();
        present.release().await;
        present = next.await.unwrap().unwrap();
        assert!(present.lease().fencing_token() > token, "they come in turn");
    }
    let requests = received() - before;
    present.release().await;
    let most = REQUESTS_PER_HANDOFF * WAITERS as f64;
    assert!(
        requests < most,
        "{requests} requests for {WAITERS} handoffs"
    );
}

/// The round trip is longer than half of a usual claim: a waiter takes up its lease all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_distant_waiter_gets_its_turn() {
    let servers = ZooKeepers::start(1);
    let proxy = Proxy::start(servers.node(0).port());
    let late = Policy::Delay(Duration::from_millis(130));
    proxy.set_both(late);
    let distant = builder(&format!("zookeeper://127.0.0.1:{}", proxy.port()));
    let distant = distant.connect_timeout(LONG).response_timeout(LONG);
    let distant = distant.build().await.unwrap();
    let [holder, near] = [pool(&servers.url()).await, pool(&servers.url()).await];
    let held = holder.lock("k").acquire().await.unwrap();
    let wait = |pool: &lockattr::LockPool| tokio::spawn(pool.lock("k").wait(LONG).acquire());
    let first = wait(&distant);
    eventually("it waits", || servers.places().len() == 2);
    let second = wait(&near);
    eventually("both wait", || servers.places().len() == 3);
    held.release().await;
    let guard = first.await.unwrap().unwrap();
    assert!(!second.is_finished(), "its turn was passed over");
    guard.release().await;
    second.await.unwrap().unwrap().release().await;
}

/// The one before it was a waiter too, which gives up.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_of_a_waiter_that_gives_up_is_not_the_first() {
    let servers = ZooKeepers::start(1);
    let [holder, one, other] = [
        pool(&servers.url()).await,
        pool(&servers.url()).await,
        pool(&servers.url()).await,
    ];
    let held = holder.lock("k").acquire().await.unwrap();
    let wait = |pool: &lockattr::LockPool| {
        tokio::spawn(pool.lock("k").wait(Duration::from_secs(60)).acquire())
    };
    let first = wait(&one);
    eventually("it waits", || servers.places().len() == 2);
    let mut second = wait(&other);
    eventually("both wait", || servers.places().len() == 3);
    first.abort();
    eventually("one has left", || servers.places().len() == 2);
    let early = tokio::time::timeout(Duration::from_millis(500), &mut second).await;
    assert!(early.is_err(), "it has a key that another has");
    held.release().await;
    second.await.unwrap().unwrap().release().await;
}

/// The server removes the node of a key that nobody uses, and its count of places begins anew.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_grow_though_the_node_of_the_key_was_removed() {
    let servers = ZooKeepers::start(1);
    let pool = pool(&servers.url()).await;
    let client = Client::connect(&format!("127.0.0.1:{}", servers.node(0).port()))
        .await
        .unwrap();
    let mut before = 0;
    for _ in 0..2 {
        let guard = pool.lock("k").acquire().await.unwrap();
        let token = guard.lease().fencing_token();
        assert!(token > before, "{token} after {before}");
        before = token;
        guard.release().await;
        client.delete("/lockattr/k", None).await.unwrap();
    }
}
