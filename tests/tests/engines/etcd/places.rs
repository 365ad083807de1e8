//! Places in the queue, and what they are bound to.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use lockattr::Wait;
use lockattr_tests::{Direction, Etcd, Policy, Proxy, Service, eventually, eventually_async};
use serde_json::json;

use super::{builder, hold};

/// The one before it was a waiter too, which gives up.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_of_a_waiter_that_gives_up_is_not_the_first() {
    let etcd = Etcd::start(1);
    let window = builder(etcd.url()).claim_window(Service::LONG);
    let (one, other) = (
        window.clone().build().await.unwrap(),
        window.build().await.unwrap(),
    );
    let holder = builder(etcd.url()).build().await.unwrap();
    let held = hold(&holder, "k").await;
    let wait =
        |pool: &lockattr::LockPool| tokio::spawn(pool.lock("k").wait(Wait::Forever).acquire());
    let first = wait(&one);
    eventually("it waits", || etcd.locks().len() == 2);
    let mut second = wait(&other);
    eventually("both wait", || etcd.locks().len() == 3);
    first.abort();
    eventually("one has left", || etcd.locks().len() == 2);
    let early = tokio::time::timeout(Duration::from_millis(500), &mut second).await;
    assert!(early.is_err(), "it has a key that another has");
    held.release().await;
    second.await.unwrap().unwrap().release().await;
}

/// What both waiters of a process are bound to is kept alive for the other one.
#[tokio::test(flavor = "multi_thread")]
async fn a_place_whose_release_was_refused_is_given_up_later() {
    let etcd = Etcd::start(1);
    etcd.enable_auth();
    let holder = builder(etcd.url()).build().await.unwrap();
    let window = Duration::from_secs(10);
    let pool = builder(etcd.url())
        .claim_window(window)
        .default_ttl(Service::LONG);
    let pool = pool.build().await.unwrap();
    let mut held = Vec::new();
    let mut waiting = Vec::new();
    for key in ["k", "neighbour"] {
        held.push(holder.lock(key).ttl(Service::LONG).acquire().await.unwrap());
        waiting.push(tokio::spawn(pool.lock(key).wait(Wait::Forever).acquire()));
    }
    eventually("both wait", || etcd.locks().len() == 4);
    let (key, end) = ("bG9ja2F0dHIv", "bG9ja2F0dHIw");
    let names = json!({"role": "locks", "key": key, "range_end": end});
    let _ = etcd.ask("auth/role/revoke", &names);
    waiting[0].abort();
    eventually("its release is refused", || {
        pool.stats().release_abandoned == 1
    });
    let right = json!({"permType": "READWRITE", "key": key, "range_end": end});
    let _ = etcd.ask("auth/role/grant", &json!({"name": "locks", "perm": right}));
    eventually("its place is gone", || etcd.locks().len() == 3);
    for guard in held {
        guard.release().await;
    }
    waiting.remove(1).await.unwrap().unwrap().release().await;
}

/// A lease of etcd counts from before the request, whose answer may be late.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_late_makes_no_lease_longer() {
    const TTL: Duration = Duration::from_secs(4);
    let etcd = Etcd::start(1);
    let proxy = Proxy::start(etcd.members[0].port());
    let slow = builder(etcd.url_at(&[proxy.port()])).default_ttl(TTL);
    let slow = slow.response_timeout(Service::LONG).build().await.unwrap();
    let other = builder(etcd.url()).build().await.unwrap();
    proxy.set(Direction::Replies, Policy::Stall);
    let first = tokio::spawn(slow.lock("first").wait(Wait::Forever).acquire());
    eventually("etcd has granted a lease", || {
        let leases = etcd.ask("lease/leases", &json!({}));
        leases["leases"]
            .as_array()
            .is_some_and(|all| !all.is_empty())
    });
    tokio::time::sleep(TTL * 3 / 4).await;
    proxy.set(Direction::Replies, Policy::Pass);
    first.await.unwrap().unwrap().release().await;
    let begun = Instant::now();
    let held = slow.lock("k").renew(false).acquire().await.unwrap();
    let next = other.lock("k").wait(Service::LONG).acquire().await.unwrap();
    let after = begun.elapsed();
    assert!(after >= TTL, "another has it after {after:?}");
    next.release().await;
    held.release().await;
}

/// The answer that tells of the other lease of etcd is lost; nothing keeps that one alive.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_whose_extension_is_in_doubt_is_bound_to_what_its_renewals_keep_alive() {
    const LONGER: Duration = Duration::from_secs(60);
    let etcd = Etcd::start(1);
    let proxy = Proxy::start(etcd.members[0].port());
    let pool = builder(etcd.url_at(&[proxy.port()])).default_ttl(Duration::from_secs(3));
    let pool = pool.build().await.unwrap();
    let long = pool.lock("long").ttl(LONGER).acquire().await.unwrap();
    let longer = etcd.places()[0].1;
    long.release().await;
    let held = hold(&pool, "k").await;
    let first = etcd.places()[0].1;
    assert_ne!(first, longer);
    proxy.set(Direction::Replies, Policy::Drop);
    let extending = held.lease().extend(LONGER);
    let in_doubt = async {
        eventually_async("it was executed", || async { etcd.places()[0].1 == longer }).await;
        proxy.set(Direction::Replies, Policy::Pass);
        proxy.cut();
    };
    let (extended, ()) = tokio::join!(extending, in_doubt);
    extended.unwrap_err();
    eventually("it is bound as before", || etcd.places()[0].1 == first);
    assert!(held.lease().is_valid());
    held.release().await;
    assert_eq!(etcd.locks(), Vec::<String>::new());
}

/// A pool with many waiters asks for each so seldom that their session would end meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn many_waiters_of_a_pool_keep_their_places_and_get_their_turns() {
    const KEYS: usize = 400;
    let etcd = Etcd::start(1);
    let proxy = Proxy::start(etcd.members[0].port());
    // A busy machine needs its time for so many.
    let patient = |url| {
        builder(url)
            .response_timeout(Service::LONG)
            .default_ttl(Service::LONG)
    };
    let holder = patient(etcd.url()).build().await.unwrap();
    // What they are bound to lasts 6 s.
    let pool = patient(etcd.url_at(&[proxy.port()])).claim_window(Duration::from_secs(5));
    let pool = pool.build().await.unwrap();
    let keys: Vec<String> = (0..KEYS).map(|number| format!("k{number}")).collect();
    let held = join_all(keys.iter().map(|key| hold(&holder, key))).await;
    let waiting: Vec<_> = keys
        .iter()
        .map(|key| tokio::spawn(pool.lock(&**key).wait(Wait::Forever).acquire()))
        .collect();
    eventually("all wait", || etcd.locks().len() == KEYS * 2);
    let places = etcd.locks();
    // The pool asks for all of them at once, and not again for 12 s.
    proxy.cut();
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert!(etcd.locks() == places, "places were lost");
    for (guard, next) in held.into_iter().zip(waiting) {
        guard.release().await;
        next.await.unwrap().unwrap().release().await;
    }
    assert_eq!(etcd.locks(), Vec::<String>::new());
}
