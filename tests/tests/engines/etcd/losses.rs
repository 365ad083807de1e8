//! What happens to locks when members, leases or connections are lost.

use std::time::{Duration, Instant};

use lockattr::{LockPool, LossReason, Wait};
use lockattr_tests::{Etcd, Policy, Proxy, Service, eventually, eventually_async};
use serde_json::{Value, json};

use super::{builder, hold};

const TTL: Duration = Duration::from_secs(2);

async fn pool(etcd: &Etcd) -> LockPool {
    builder(etcd.url()).default_ttl(TTL).build().await.unwrap()
}

/// Ends all leases of etcd, as if no process had kept them alive.
fn end_leases(etcd: &Etcd) {
    let leases = etcd.ask("lease/leases", &json!({}));
    let all: Vec<&Value> = leases["leases"].as_array().into_iter().flatten().collect();
    assert!(!all.is_empty());
    for lease in all {
        let _ = etcd.ask("lease/revoke", &json!({"ID": lease["ID"]}));
    }
}

async fn waits(etcd: &Etcd, places: usize) {
    eventually_async("it waits", || async { etcd.locks().len() == places }).await;
}

#[tokio::test]
async fn a_lease_that_ends_in_etcd_is_lost_and_waiters_go_on() {
    let etcd = Etcd::start(1);
    let (one, other) = (pool(&etcd).await, pool(&etcd).await);
    let held = hold(&one, "k").await;
    let waiting = tokio::spawn(other.lock("k").wait(Wait::Forever).acquire());
    waits(&etcd, 2).await;
    end_leases(&etcd);
    let loss = held.lease().lost().await;
    assert_eq!(loss, LossReason::Gone);
    let next = waiting.await.unwrap().unwrap();
    assert!(next.lease().fencing_token() > held.lease().fencing_token());
    next.release().await;
    held.release().await;
    hold(&one, "k").await.release().await;
    assert_eq!(etcd.locks(), Vec::<String>::new());
}

/// Two locks share a lease of etcd, which one of them keeps alive.
#[tokio::test]
async fn a_lock_that_is_not_renewed_ends_though_its_neighbour_goes_on() {
    let etcd = Etcd::start(1);
    let (one, other) = (pool(&etcd).await, pool(&etcd).await);
    let neighbour = hold(&one, "neighbour").await;
    let start = Instant::now();
    let held = one.lock("k").ttl(TTL).renew(false).acquire().await.unwrap();
    let next = other.lock("k").wait(TTL * 5).acquire().await.unwrap();
    let after = start.elapsed();
    assert!(after >= TTL && after < TTL * 3 / 2, "{after:?}");
    assert_eq!(held.lease().lost().await, LossReason::Expired);
    assert!(neighbour.lease().is_valid());
    next.release().await;
}

#[tokio::test]
async fn locks_survive_the_loss_of_the_leader() {
    let mut etcd = Etcd::start(3);
    let pool = pool(&etcd).await;
    let held = hold(&pool, "k").await;
    let token = held.lease().fencing_token();
    for round in 0..2 {
        let leader = etcd.leader();
        let fault = Instant::now();
        if round == 0 {
            etcd.members[leader].kill();
        } else {
            etcd.members[leader].pause();
        }
        let others = pool.lock(format!("other {round}")).wait(Service::LONG);
        others.acquire().await.unwrap().release().await;
        eventually("it is renewed", || {
            held.lease().expires_at() > fault + TTL * 2
        });
        assert!(held.lease().is_valid(), "{round}");
        if round == 0 {
            etcd.members[leader].restart();
        } else {
            etcd.members[leader].resume();
        }
        eventually("it is back", || etcd.members[leader].is_up());
    }
    held.release().await;
    assert!(hold(&pool, "k").await.lease().fencing_token() > token);
}

/// The pool's own member is silent, and the others are there.
#[tokio::test]
async fn another_member_takes_the_place_of_a_silent_one() {
    let etcd = Etcd::start(3);
    let proxy = Proxy::start(etcd.members[0].port());
    let ports = [proxy.port(), etcd.members[1].port(), etcd.members[2].port()];
    let one = builder(etcd.url_at(&ports))
        .default_ttl(TTL)
        .build()
        .await
        .unwrap();
    let other = pool(&etcd).await;
    let held = hold(&other, "k").await;
    let waiting = tokio::spawn(one.lock("k").wait(Wait::Forever).acquire());
    waits(&etcd, 2).await;
    proxy.set_both(Policy::Drop);
    held.release().await;
    let next = waiting.await.unwrap().unwrap();
    let granted = next.lease().expires_at();
    eventually("it is renewed", || next.lease().expires_at() > granted);
    assert!(next.lease().is_valid());
    next.release().await;
    assert_eq!(etcd.locks(), Vec::<String>::new());
}

/// The present member is silent, and the next one is not there.
#[tokio::test]
async fn the_third_member_is_tried_before_the_first_is_given_up() {
    const PATIENCE: Duration = Duration::from_secs(12);
    let etcd = Etcd::start(3);
    let proxies = [0, 1].map(|at| Proxy::start(etcd.members[at].port()));
    let ports = [proxies[0].port(), proxies[1].port(), etcd.members[2].port()];
    let pool = builder(etcd.url_at(&ports)).response_timeout(PATIENCE);
    let pool = pool.default_ttl(Service::LONG).build().await.unwrap();
    hold(&pool, "before").await.release().await;
    proxies[1].refuse(true);
    proxies[0].set_both(Policy::Drop);
    let start = Instant::now();
    hold(&pool, "k").await.release().await;
    assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_majority_that_is_away_takes_the_locks_with_it_and_comes_back() {
    let mut etcd = Etcd::start(3);
    let pool = pool(&etcd).await;
    let held = hold(&pool, "k").await;
    etcd.members[0].kill();
    etcd.members[1].kill();
    assert_eq!(held.lease().lost().await, LossReason::Expired);
    let refused = pool
        .lock("other")
        .wait(Duration::from_millis(300))
        .acquire()
        .await;
    refused.unwrap_err();
    etcd.members[0].begin_restart();
    etcd.members[1].restart();
    let again = pool.lock("k").wait(Service::LONG).acquire().await.unwrap();
    assert!(again.lease().fencing_token() > held.lease().fencing_token());
    again.release().await;
}

/// What happened meanwhile can be told by no watch.
#[tokio::test]
async fn a_waiter_learns_of_its_turn_though_history_is_gone() {
    let etcd = Etcd::start(1);
    let proxy = Proxy::start(etcd.members[0].port());
    let (far, near) = (builder(etcd.url_at(&[proxy.port()])), pool(&etcd).await);
    let far = far
        .default_ttl(Service::LONG)
        .claim_window(Service::LONG)
        .build()
        .await
        .unwrap();
    let held = hold(&near, "k").await;
    let waiting = tokio::spawn(far.lock("k").wait(Wait::Forever).acquire());
    waits(&etcd, 2).await;
    proxy.refuse(true);
    proxy.cut();
    held.release().await;
    let revision = etcd.ask("kv/range", &json!({"key": "AA=="}))["header"]["revision"].clone();
    let _ = etcd.ask(
        "kv/compaction",
        &json!({"revision": revision, "physical": true}),
    );
    proxy.refuse(false);
    // Long before it would have asked again.
    eventually_async("it is told", async || waiting.is_finished()).await;
    waiting.await.unwrap().unwrap().release().await;
}
