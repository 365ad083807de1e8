//! `redis+sentinel://`: the pool finds the master, and follows it.

use std::time::Duration;

use lockattr::conformance::{Conformance, Violations};
use lockattr::{BackendErrorKind, Error, LockPool, LockPoolBuilder, RedisOptions};
use lockattr_tests::{
    Authority, CANARY, MASTER_NAME, Proxy, RedisServer, Sentinels, Service, eventually,
    eventually_async,
};

/// A failover takes two seconds.
const PATIENCE: Duration = Duration::from_secs(20);

fn builder(url: impl AsRef<str>) -> LockPoolBuilder {
    LockPool::builder().url(url).default_wait(PATIENCE)
}

async fn pool(url: impl AsRef<str>) -> LockPool {
    builder(url).build().await.unwrap()
}

/// Acquires and releases, and returns the fencing token.
async fn take(pool: &LockPool, key: &str) -> u64 {
    let guard = pool.lock(key).acquire().await.unwrap();
    let token = guard.lease().fencing_token();
    guard.release().await;
    token
}

/// Expects that these calls leave no trace on a server.
async fn expect_unused(server: &RedisServer, pool: &LockPool) {
    let before = server.script_calls();
    for number in 0..20 {
        take(pool, &format!("unused:{number}")).await;
    }
    assert_eq!(server.script_calls(), before);
}

/// Whether any connection of a pool leads there.
fn has_pools(server: &RedisServer) -> bool {
    let list: String = redis::cmd("CLIENT")
        .arg("LIST")
        .query(&mut server.connection())
        .unwrap();
    list.contains("user=locker")
}

#[tokio::test]
async fn it_conforms() -> Result<(), Violations> {
    let deployment = Sentinels::start();
    let ttl = Duration::from_millis(600);
    Conformance::of(builder(deployment.url()))
        .ttl(ttl)
        .check()
        .await
}

/// A holder, its waiters and their order survive a failover that loses nothing.
#[tokio::test]
async fn leases_and_waiters_move_to_the_new_master() {
    let deployment = Sentinels::start();
    let (holder, second, third) = (
        pool(deployment.url()).await,
        pool(deployment.url()).await,
        pool(deployment.url()).await,
    );
    let held = holder.lock("k").ttl(Service::LONG).acquire().await.unwrap();
    let mut waiting = Vec::new();
    for pool in [&second, &third] {
        waiting.push(tokio::spawn(pool.lock("k").acquire()));
        eventually_async("it waits", || async { pool.stats().waited == 1 }).await;
    }
    deployment.wait_for_replicas(0);
    let new = deployment.fail_over(&[0, 1, 2]);
    assert_eq!(new, 1);
    held.lease().extend(Service::LONG).await.unwrap();
    assert!(deployment.nodes[1].script_calls() > 0);
    let mut token = held.lease().fencing_token();
    held.release().await;
    for waiting in waiting {
        let guard = waiting.await.unwrap().unwrap();
        assert!(guard.lease().fencing_token() > token);
        token = guard.lease().fencing_token();
        guard.release().await;
    }
    eventually("nothing is left", || deployment.nodes[1].locks().is_empty());
    let stats = [holder, second, third].map(|pool| pool.stats());
    assert!(stats.iter().all(|stats| stats.lost == 0), "{stats:?}");
}

/// All connections of a pool follow, and calls succeed again without a restart.
#[tokio::test]
async fn calls_go_on_after_the_master_was_killed() {
    let mut deployment = Sentinels::start();
    let options = RedisOptions::new().connections(3);
    let pool = builder(deployment.url()).redis(options).build().await;
    let pool = pool.unwrap();
    let mut tokens = Vec::new();
    for number in 0..9 {
        tokens.push(take(&pool, &format!("k:{number}")).await);
    }
    deployment.nodes[0].kill();
    for (number, token) in tokens.into_iter().enumerate() {
        assert!(take(&pool, &format!("k:{number}")).await > token);
    }
    assert!(deployment.nodes[1].script_calls() > 0);
}

/// The old master comes back without having heard of its successor: sentinels make a replica of it
/// after 8 s only.
#[tokio::test]
async fn an_old_master_that_comes_back_is_not_used() {
    let mut deployment = Sentinels::start();
    let old = deployment.nodes[0].port();
    let ours = pool(deployment.url()).await;
    deployment.nodes[0].kill();
    assert_eq!(deployment.new_master(old, &[0, 1, 2]), 1);
    deployment.nodes[0].restart();
    let calls = deployment.nodes[0].script_calls();
    let late = pool(deployment.url()).await;
    for pool in [&ours, &late] {
        expect_unused(&deployment.nodes[0], pool).await;
    }
    assert_eq!(deployment.nodes[0].script_calls(), calls);
    assert!(!has_pools(&deployment.nodes[0]));
}

/// The master hangs, so that its connections stay open, and goes on later as if nothing had been. A
/// dial that hangs there is given up when another master is named.
#[tokio::test]
async fn a_master_that_hung_is_not_used_any_more() {
    let deployment = Sentinels::start();
    let old = deployment.nodes[0].port();
    let patient = builder(deployment.url()).connect_timeout(Service::LONG);
    let pool = patient.build().await.unwrap();
    let token = take(&pool, "k").await;
    deployment.nodes[0].pause();
    let asked = pool
        .lock("k")
        .wait(Duration::from_millis(50))
        .acquire()
        .await;
    assert!(asked.is_err(), "it hangs");
    assert_eq!(deployment.new_master(old, &[0, 1, 2]), 1);
    assert!(take(&pool, "k").await > token);
    deployment.nodes[0].resume();
    expect_unused(&deployment.nodes[0], &pool).await;
}

/// The master is cut off from its sentinels, and still answers the pool.
#[tokio::test]
async fn an_isolated_master_is_left() {
    let deployment = Sentinels::start();
    let old = deployment.nodes[0].port();
    let pool = pool(deployment.url()).await;
    let mut token = take(&pool, "k").await;
    deployment.isolate(0);
    assert_eq!(deployment.new_master(old, &[0, 1, 2]), 1);
    eventually("the pool leaves it", || !has_pools(&deployment.nodes[0]));
    for _ in 0..3 {
        let next = take(&pool, "k").await;
        assert!(next > token);
        token = next;
    }
    expect_unused(&deployment.nodes[0], &pool).await;
    let role: Vec<redis::Value> =
        redis::from_redis_value(deployment.nodes[0].raw(&["ROLE"]).unwrap()).unwrap();
    assert_eq!(role[0], redis::Value::BulkString(b"master".into()));
}

/// Replication is asynchronous: what it has not carried over is lost with the old master.
#[tokio::test]
async fn a_lease_that_was_not_replicated_overlaps_with_a_greater_token() {
    let deployment = Sentinels::start();
    let old = deployment.nodes[0].port();
    let pool = pool(deployment.url()).await;
    deployment.isolate(0);
    let lost = pool.lock("k").ttl(Service::LONG).acquire().await.unwrap();
    assert_eq!(deployment.nodes[0].locks().len(), 1);
    assert_eq!(deployment.new_master(old, &[0, 1, 2]), 1);
    eventually("the pool leaves it", || !has_pools(&deployment.nodes[0]));
    let other = builder(deployment.url()).build().await.unwrap();
    let second = other.lock("k").acquire().await.unwrap();
    assert!(lost.lease().is_valid() && second.lease().is_valid());
    assert!(second.lease().fencing_token() > lost.lease().fencing_token());
    // The first thing that it asks of the new master tells it.
    assert!(lost.lease().extend(Service::LONG).await.is_err());
    assert!(!lost.lease().is_valid() && second.lease().is_valid());
}

#[tokio::test]
async fn a_master_that_must_have_a_replica_grants_nothing_without() {
    let args = ["--min-replicas-to-write", "1"];
    let mut deployment = Sentinels::start_with(2, 1, &args);
    let pool = pool(deployment.url()).await;
    take(&pool, "k").await;
    deployment.nodes[1].kill();
    let mut number = 0;
    eventually_async("it refuses", || {
        // A key each: the release of the last one that is granted may be refused.
        number += 1;
        let once = pool.lock(format!("k:{number}")).wait(Duration::ZERO);
        async {
            let granted = once.acquire().await;
            granted.is_err_and(|error| error.to_string().contains("NOREPLICAS"))
        }
    })
    .await;
}

/// The master becomes a replica without its sentinels: it answers, and refuses every write.
#[tokio::test]
async fn a_master_that_was_demoted_is_left() {
    let deployment = Sentinels::start();
    let pool = pool(deployment.url()).await;
    let token = take(&pool, "k").await;
    deployment.wait_for_replicas(0);
    let port = deployment.nodes[1].port().to_string();
    deployment.nodes[1]
        .raw(&["REPLICAOF", "NO", "ONE"])
        .unwrap();
    deployment.nodes[0]
        .raw(&["REPLICAOF", "127.0.0.1", &port])
        .unwrap();
    let once = pool.lock("k").wait(Duration::ZERO).acquire().await;
    let text = once.unwrap_err().to_string();
    assert!(
        text.contains("READONLY") || text.contains("replica"),
        "{text}"
    );
    eventually("the pool leaves it", || !has_pools(&deployment.nodes[0]));
    assert_eq!(deployment.fail_over(&[0, 1, 2]), 1);
    assert!(take(&pool, "k").await > token);
}

#[tokio::test]
async fn one_sentinel_of_three_is_enough() {
    let mut deployment = Sentinels::start();
    let early = pool(deployment.url()).await;
    deployment.sentinels[0].kill();
    deployment.sentinels[1].pause();
    let late = pool(deployment.url()).await;
    let token = take(&late, "k").await;
    assert_eq!(deployment.fail_over(&[2]), 1);
    for pool in [&early, &late] {
        eventually_async("it follows", || async {
            take(pool, "k").await;
            deployment.nodes[1].script_calls() > 0 && !has_pools(&deployment.nodes[0])
        })
        .await;
        assert!(take(pool, "k").await > token);
    }
}

/// A firewall has forgotten the connection on which the sentinel would tell of the switch.
#[tokio::test]
async fn a_lost_subscription_is_made_good() {
    let deployment = Sentinels::start();
    let proxy = Proxy::start(deployment.sentinels[0].port());
    let pool = pool(deployment.url_by(&[proxy.port()])).await;
    deployment.isolate(0);
    proxy.forget();
    deployment.new_master(deployment.nodes[0].port(), &[0, 1, 2]);
    eventually("the pool leaves it", || !has_pools(&deployment.nodes[0]));
    take(&pool, "k").await;
    assert!(deployment.nodes[1].script_calls() > 0);
}

/// A sentinel that is cut off from the others together with the old master does not lead there,
/// neither while the others answer nor when it is the only one that does.
#[tokio::test]
async fn a_sentinel_that_has_missed_a_failover_does_not_count() {
    let mut deployment = Sentinels::start();
    let stale = Sentinels::start_with(1, 1, &[]);
    assert_eq!(deployment.fail_over(&[0, 1, 2]), 1);
    let mut ports = stale.ports();
    ports.extend(deployment.ports());
    let pool = pool(deployment.url_by(&ports)).await;
    expect_unused(&stale.nodes[0], &pool).await;
    for sentinel in &mut deployment.sentinels {
        sentinel.kill();
    }
    expect_unused(&stale.nodes[0], &pool).await;
    deployment.nodes[1]
        .raw(&["CLIENT", "KILL", "USER", "locker"])
        .unwrap();
    expect_unused(&stale.nodes[0], &pool).await;
    assert!(!has_pools(&stale.nodes[0]));
}

/// Nobody tells where the master is: connections that work are kept.
#[tokio::test]
async fn without_sentinels_a_pool_goes_on() {
    let mut deployment = Sentinels::start_with(1, 1, &[]);
    let pool = pool(deployment.url()).await;
    deployment.sentinels[0].kill();
    for number in 0..20 {
        take(&pool, &format!("k:{number}")).await;
    }
}

#[tokio::test]
async fn sentinels_and_master_are_reached_by_tls() {
    let authority = Authority::new();
    let dir = std::env::temp_dir().join(format!("lockattr-sentinel-tls-{}", std::process::id()));
    let args = authority.server_args(&dir, false);
    let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
    args.extend(["--tls-replication", "yes"]);
    let deployment = Sentinels::start_with(2, 3, &args);
    let url = deployment.url().replace("redis+", "rediss+");
    let trusting = RedisOptions::new().tls_root_certificates(&authority.pem);
    let pool = builder(&url).redis(trusting).build().await.unwrap();
    let token = take(&pool, "k").await;
    assert_eq!(deployment.fail_over(&[0, 1, 2]), 1);
    eventually("the pool leaves it", || !has_pools(&deployment.nodes[0]));
    assert!(take(&pool, "k").await > token);

    let stranger = RedisOptions::new().tls_root_certificates(Authority::new().pem);
    let error = builder(&url).redis(stranger).build().await.unwrap_err();
    let Error::Connect { source, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(source.kind(), BackendErrorKind::Untrusted);
    std::fs::remove_dir_all(dir).unwrap();
}

/// Returns the text of the error, and expects that the pool is refused within its connect timeout.
async fn refused(url: String, parts: &[&str]) -> Error {
    let error = builder(url).build().await.unwrap_err();
    let text = format!("{error} {error:?}");
    println!("{error}");
    for part in parts {
        assert!(text.contains(part), "not said: {part}: {text}");
    }
    assert!(!text.contains(CANARY));
    error
}

#[tokio::test]
async fn errors_name_the_sentinels_and_say_what_to_do() {
    let mut deployment = Sentinels::start_with(1, 2, &[]);
    let ports = deployment.ports();
    let names = ports.iter().map(|port| format!("127.0.0.1:{port}"));
    let names = names.collect::<Vec<_>>();
    let (first, second) = (names[0].as_str(), names[1].as_str());

    let other = deployment.url().replace(MASTER_NAME, "other");
    let said = [first, second, "`other`", "sentinel monitor"];
    let error = refused(other, &said).await;
    assert!(matches!(error, Error::Config { setting: "url", .. }));

    for sentinel in &deployment.sentinels {
        let secret = format!(">{CANARY}");
        sentinel.raw(&["ACL", "SETUSER", "default", "resetpass", &secret]);
    }
    let url = deployment.url();
    let without = url.split('?').next().unwrap().to_owned();
    let said = [first, second, "NOAUTH", "sentinel_password"];
    let error = refused(without, &said).await;
    assert!(
        matches!(&error, Error::Connect { source, .. } if source.kind() == BackendErrorKind::Refused)
    );
    let wrong = url.replace("sentinel_password=", "sentinel_password=x");
    refused(wrong, &[first, "WRONGPASS", "sentinel_password"]).await;

    let server = deployment.nodes[0].port();
    let said = ["no sentinel", "26379", "redis://"];
    let without = url.split('?').next().unwrap().replace(first, "127.0.0.1:1");
    let without = without.replace(second, &format!("127.0.0.1:{server}"));
    refused(without, &["127.0.0.1:1: ", "no sentinel"]).await;
    let alone = deployment.url_by(&[server]);
    let error = refused(alone.split('?').next().unwrap().to_owned(), &said).await;
    assert!(matches!(error, Error::Config { setting: "url", .. }));

    deployment.nodes[0].kill();
    let master = format!("the master at 127.0.0.1:{server}: ");
    let said = [first, second, MASTER_NAME, &master, "refused"];
    refused(deployment.url(), &said).await;

    deployment.sentinels[0].kill();
    deployment.sentinels[1].pause();
    let said = [first, second, MASTER_NAME, "refused", "no answer within 1s"];
    let error = refused(deployment.url(), &said).await;
    assert!(matches!(error, Error::Connect { .. }));
}

#[tokio::test]
async fn a_sentinel_is_no_server() {
    let deployment = Sentinels::start_with(1, 1, &[]);
    let url = format!("redis://127.0.0.1:{}/", deployment.sentinels[0].port());
    let error = refused(url, &["redis+sentinel://"]).await;
    assert!(matches!(error, Error::Config { setting: "url", .. }));
}

#[tokio::test]
async fn the_pool_shows_its_sentinels_and_no_password() {
    let deployment = Sentinels::start_with(1, 1, &[]);
    let pool = pool(deployment.url()).await;
    let port = deployment.sentinels[0].port();
    let shown = format!("{pool:?}");
    let place = format!("redis+sentinel://127.0.0.1:{port}/{MASTER_NAME}");
    assert!(shown.contains(&place) && !shown.contains(CANARY), "{shown}");
}
