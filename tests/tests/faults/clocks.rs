//! A server whose wall clock is set. Redis ends keys by that clock, so a step forward ends leases
//! early and only the token protects; a step back makes them last longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lockattr_tests::{FencedStore, RedisServer, ServerClock, Service, eventually};

use super::{pool, take_and_release};

const HOUR: i64 = 3600;

#[tokio::test]
async fn set_forward_by_an_hour_two_are_let_in_and_the_token_protects() {
    let clock = ServerClock::new();
    let server = RedisServer::start_with_clock(&clock);
    let (holder, other) = (pool(server.url()).await, pool(server.url()).await);
    let request = |pool: &lockattr::LockPool| pool.lock("k").ttl(Service::LONG).acquire();
    let first = request(&holder).await.unwrap();
    clock.set(HOUR);
    let second = request(&other).await.unwrap();
    assert!(first.lease().is_valid() && second.lease().is_valid());
    assert!(first.lease().fencing_token() < second.lease().fencing_token());
    let dir = std::env::temp_dir().join(format!("lockattr-clock-store-{}", server.port()));
    std::fs::create_dir_all(&dir).unwrap();
    let store = FencedStore::new(&dir);
    assert!(store.write(0, second.lease().fencing_token(), 2).unwrap());
    assert!(!store.write(0, first.lease().fencing_token(), 1).unwrap());
    std::fs::remove_dir_all(&dir).unwrap();
    first.release().await;
    second.release().await;
    take_and_release(&other, &server).await;
}

#[tokio::test]
async fn set_back_by_an_hour_nothing_but_a_crash_takes_longer() {
    let clock = ServerClock::new();
    let server = RedisServer::start_with_clock(&clock);
    let (holder, other) = (pool(server.url()).await, pool(server.url()).await);
    let ttl = Duration::from_millis(300);
    let first = holder.lock("k").ttl(ttl).acquire().await.unwrap();
    let token = first.lease().fencing_token();
    clock.set(-HOUR);
    let name = server.locks().remove(0);
    // Valkey looks at its clock a few times a second.
    eventually("the server keeps it for an hour", || {
        let mut left = redis::cmd("PTTL");
        let left: i64 = left.arg(&name).query(&mut server.connection()).unwrap();
        left > 3_500_000
    });
    let renewed = holder.stats().renewed;
    eventually("it is renewed", || holder.stats().renewed > renewed + 1);
    first.release().await;
    // After a release it is free at once, and the tokens go on from the counter.
    let second = other.lock("k").ttl(ttl).acquire().await.unwrap();
    assert!(second.lease().fencing_token() > token);
    second.release().await;
    take_and_release(&holder, &server).await;
}

/// The clock steps by half a ttl, to and fro, while processes hand the key to each other: a handoff
/// is dated by the server's clock, and the steps must not make the lease valid for longer.
#[tokio::test]
async fn small_steps_while_the_key_is_handed_over() {
    let clock = ServerClock::new();
    let server = RedisServer::start_with_clock(&clock);
    let pools = [pool(server.url()).await, pool(server.url()).await];
    let ttl = Duration::from_secs(1);
    let mut last = 0;
    for round in 0..40 {
        let step = [0, 500, -500, 250][round % 4];
        let guard = {
            let request = pools[round % 2].lock("k").ttl(ttl).wait(Service::LONG);
            request.acquire().await.unwrap()
        };
        let token = guard.lease().fencing_token();
        assert!(token > last, "{token} after {last}");
        last = token;
        let waited = pools[(round + 1) % 2].stats().waited;
        let request = pools[(round + 1) % 2]
            .lock("k")
            .ttl(ttl)
            .wait(Service::LONG);
        let waiting = tokio::spawn(request.acquire());
        lockattr_tests::eventually_async("the other waits", || async {
            pools[(round + 1) % 2].stats().waited > waited || server.locks().is_empty()
        })
        .await;
        clock.set_millis(step);
        guard.release().await;
        let next = waiting.await.unwrap().unwrap();
        assert!(next.lease().remaining() <= ttl);
        assert!(next.lease().fencing_token() > last);
        last = next.lease().fencing_token();
        next.release().await;
    }
}

/// A fast clock keeps leases for less than their ttl: a renewal from a third of the ttl on is in
/// time.
#[tokio::test]
async fn renewal_is_in_time_for_a_clock_that_runs_50_percent_fast() {
    let clock = ServerClock::new();
    let server = RedisServer::start_with_clock(&clock);
    let (holder, other) = (pool(server.url()).await, pool(server.url()).await);
    let (running, start) = (Arc::new(AtomicBool::new(true)), Instant::now());
    let fast = Arc::clone(&running);
    let gains = std::thread::spawn(move || {
        while fast.load(Ordering::Relaxed) {
            let ahead = start.elapsed() / 2;
            clock.set_millis(ahead.as_millis().try_into().unwrap());
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let ttl = Duration::from_secs(6);
    let guard = holder.lock("k").ttl(ttl).acquire().await.unwrap();
    let token = guard.lease().fencing_token();
    // Longer than an unrenewed lease lasts there.
    while holder.stats().renewed < 3 {
        let second = other.lock("k").ttl(ttl).try_acquire().await.unwrap();
        assert!(second.is_none(), "two are let in");
    }
    guard.release().await;
    let next = other.lock("k").acquire().await.unwrap();
    assert!(next.lease().fencing_token() > token);
    next.release().await;
    running.store(false, Ordering::Relaxed);
    gains.join().unwrap();
    take_and_release(&holder, &server).await;
}
