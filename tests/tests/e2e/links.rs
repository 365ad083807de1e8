//! The connections of a pool: how long they may be silent, and what happens to the old ones.

use std::time::{Duration, Instant};

use lockattr::{LockPool, RedisOptions};
use lockattr_tests::{Policy, Proxy, RedisServer, Service, eventually, eventually_async};
use redis::Connection;

/// Returns how many connections the server has accepted so far.
fn dials(looking: &mut Connection) -> u64 {
    let info: String = redis::cmd("INFO").arg("stats").query(looking).unwrap();
    let count = info
        .lines()
        .find_map(|line| line.strip_prefix("total_connections_received:"));
    count.unwrap().trim().parse().unwrap()
}

/// Returns the server's connections from pools.
fn clients(server: &RedisServer) -> Vec<String> {
    let list: String = redis::cmd("CLIENT")
        .arg("LIST")
        .query(&mut server.connection())
        .unwrap();
    list.lines()
        .filter(|line| line.contains("user=locker"))
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect()
}

/// One task asks again and again for a lease that is too short for the way to the server; the other
/// tasks do not notice.
async fn one_short_ttl_harms_nobody(round_trip: Duration, short: Duration) {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    proxy.set_both(Policy::Delay(round_trip / 2));
    let pool = LockPool::builder()
        .url(server.url_at(proxy.port()))
        .build()
        .await
        .unwrap();
    let mut held = Vec::new();
    for (key, ttl) in [("two", 2), ("five", 5)] {
        let ttl = Duration::from_secs(ttl);
        held.push(pool.lock(key).ttl(ttl).acquire().await.unwrap());
    }
    let mut looking = server.connection();
    let before = dials(&mut looking);
    let hurried = {
        let pool = pool.clone();
        tokio::spawn(async move {
            loop {
                // Mostly the answer comes too late for such a ttl, which fails this call alone.
                let once = pool.lock("short").ttl(short).wait(Duration::ZERO);
                if let Ok(guard) = once.acquire().await {
                    guard.release().await;
                }
            }
        })
    };
    let patient = (0..8).map(|task| {
        let pool = pool.clone();
        tokio::spawn(async move {
            for round in 0..10 {
                let request = pool.lock(format!("patient:{task}"));
                let request = request
                    .ttl(Duration::from_secs(30))
                    .wait(Duration::from_secs(2));
                let guard = request.acquire().await;
                let guard = guard.unwrap_or_else(|error| panic!("{task}, round {round}: {error}"));
                guard.release().await;
            }
        })
    });
    for task in patient.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let renewed = pool.stats().renewed;
    eventually_async("the leases are renewed meanwhile", || async {
        pool.stats().renewed > renewed + 1
    })
    .await;
    hurried.abort();
    for guard in held {
        assert!(guard.lease().is_valid(), "{guard:?}");
        guard.release().await;
    }
    assert_eq!(pool.stats().lost, 0);
    assert_eq!(dials(&mut looking), before, "a connection was replaced");
}

#[tokio::test]
async fn an_error_of_a_ttl_that_is_too_short_names_it_and_the_round_trip() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    proxy.set_both(Policy::Delay(Duration::from_millis(100)));
    let builder = LockPool::builder().url(server.url_at(proxy.port()));
    let pool = builder.build().await.unwrap();
    pool.lock("warm").acquire().await.unwrap().release().await;
    let short = pool.lock("k").ttl(Duration::from_millis(400));
    let error = short.wait(Duration::ZERO).acquire().await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("ttl of 400ms") && text.contains("round trip takes "),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_short_ttl_harms_nobody_at_100_ms() {
    one_short_ttl_harms_nobody(Duration::from_millis(100), Duration::from_millis(200)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_short_ttl_harms_nobody_at_40_ms() {
    one_short_ttl_harms_nobody(Duration::from_millis(40), Duration::from_millis(100)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_short_ttl_harms_nobody_at_20_ms() {
    one_short_ttl_harms_nobody(Duration::from_millis(20), Duration::from_millis(50)).await;
}

/// A firewall has forgotten the connection. A call that waits gets its lock within its wait and one
/// response timeout, and nothing is left behind.
#[tokio::test]
async fn a_connection_that_was_forgotten_is_found_out_by_the_first_call() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let pool = LockPool::builder()
        .url(server.url_at(proxy.port()))
        .build()
        .await
        .unwrap();
    for round in 0..5 {
        proxy.forget();
        let start = Instant::now();
        let request = pool.lock(format!("k:{round}")).wait(Duration::from_secs(1));
        let guard = request.acquire().await.unwrap();
        assert!(start.elapsed() < Duration::from_millis(1500), "{round}");
        guard.release().await;
    }
    eventually("nothing is left", || server.locks().is_empty());
    assert!(server.keys("*#queue:*").is_empty());
    eventually("the forgotten ones are closed", || {
        clients(&server).len() == 1
    });
}

/// The same for a caller that does not wait.
#[tokio::test]
async fn a_connection_that_was_forgotten_is_found_out_by_a_call_that_tries_once() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let pool = LockPool::builder()
        .url(server.url_at(proxy.port()))
        .build()
        .await
        .unwrap();
    for round in 0..5 {
        proxy.forget();
        let start = Instant::now();
        let once = pool.lock(format!("k:{round}")).try_acquire().await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(1), "{round}");
        once.expect("nobody has it").release().await;
    }
    eventually("nothing is left", || server.locks().is_empty());
}

/// A call that tries once while the first dial after a loss is under way waits for that dial.
#[tokio::test]
async fn a_call_waits_for_the_dial_that_is_under_way() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let pool = LockPool::builder()
        .url(server.url_at(proxy.port()))
        .response_timeout(Duration::from_secs(20))
        .connect_timeout(Duration::from_secs(20))
        .build()
        .await
        .unwrap();
    let mut looking = server.connection();
    let before = dials(&mut looking);
    proxy.set_both(Policy::Stall);
    proxy.cut();
    eventually("it dials anew", || dials(&mut looking) > before);
    let once = pool.lock("k").ttl(Service::LONG).wait(Duration::ZERO);
    let mut once = std::pin::pin!(once.acquire());
    let early = tokio::time::timeout(Duration::from_millis(100), once.as_mut()).await;
    assert!(early.is_err(), "it does not wait: {early:?}");
    proxy.set_both(Policy::Pass);
    once.await.unwrap().release().await;
}

/// Without a call, the ping finds the dead connection, and the next call finds one that works.
#[tokio::test]
async fn an_idle_connection_that_was_forgotten_is_found_out_by_the_ping() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let pool = LockPool::builder()
        .url(server.url_at(proxy.port()))
        .build()
        .await
        .unwrap();
    let forgotten = clients(&server);
    proxy.forget();
    eventually("another one took its place", || {
        let present = clients(&server);
        present.len() == 1 && present != forgotten
    });
    let once = pool.lock("k").try_acquire().await.unwrap();
    once.expect("nobody has it").release().await;
}

/// A holder keeps its lease while its connection is forgotten.
#[tokio::test]
async fn a_lease_outlives_connections_that_are_forgotten() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let pool = LockPool::builder()
        .url(server.url_at(proxy.port()))
        .response_timeout(Duration::from_millis(100))
        .build()
        .await
        .unwrap();
    let ttl = Duration::from_secs(3);
    let guard = pool.lock("k").ttl(ttl).acquire().await.unwrap();
    for _ in 0..3 {
        let renewed = pool.stats().renewed;
        proxy.forget();
        eventually_async("it is renewed by another connection", || async {
            pool.stats().renewed > renewed
        })
        .await;
    }
    assert!(guard.lease().is_valid());
    guard.release().await;
}

/// The client closes the sockets of connections that no peer closed.
#[tokio::test]
async fn many_half_open_connections_leave_no_socket_behind() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let pool = LockPool::builder()
        .url(server.url_at(proxy.port()))
        .response_timeout(Duration::from_millis(20))
        .build()
        .await
        .unwrap();
    for round in 0..100 {
        proxy.forget();
        let request = pool.lock(format!("k:{round}")).wait(Service::LONG);
        request.acquire().await.unwrap().release().await;
    }
    eventually("the old connections are closed", || {
        clients(&server).len() == 1
    });
}

/// All connections are dialled at once: many of them take no longer than one.
#[tokio::test]
async fn many_connections_far_away_are_dialled_in_time() {
    for (connections, round_trip) in [(64, 20), (16, 100)] {
        let server = RedisServer::start();
        let proxy = Proxy::start(server.port());
        proxy.set_both(Policy::Delay(Duration::from_millis(round_trip) / 2));
        let builder = LockPool::builder()
            .url(server.url_at(proxy.port()))
            .redis(RedisOptions::new().connections(connections));
        let pool = builder.build().await.unwrap();
        assert_eq!(clients(&server).len(), connections);
        pool.lock("k").acquire().await.unwrap().release().await;
    }
}
