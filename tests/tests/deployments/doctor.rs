//! `lockattr::doctor`: each fault is found on a real server, and is not found without it.

mod disk;
mod masters;
mod rights;

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fs, os};

use lockattr::{
    Diagnosis, Error, Finding, LockPool, LockPoolBuilder, RedisOptions, Severity, Topic,
};
use lockattr_tests::{
    CANARY, Policy, Proxy, RedisCluster, RedisServer, Sentinels, ServerClock, Service, Twemproxy,
    eventually, eventually_async,
};
use redis::{FromRedisValue, Value};

fn builder(url: impl AsRef<str>) -> LockPoolBuilder {
    LockPool::builder().url(url)
}

async fn pool(url: impl AsRef<str>) -> LockPool {
    builder(url).build().await.unwrap()
}

async fn examine(pool: &LockPool) -> Diagnosis {
    let found = lockattr::doctor(pool).await.unwrap();
    println!("{found}");
    assert!(!format!("{found} {found:?}").contains(CANARY));
    found
}

/// The worst that is said of a topic.
async fn worst(pool: &LockPool, topic: Topic) -> Finding {
    let found = examine(pool).await;
    let of_topic = found
        .findings()
        .iter()
        .filter(|finding| finding.topic == topic);
    of_topic
        .max_by_key(|finding| finding.severity)
        .unwrap()
        .clone()
}

#[track_caller]
fn expect(finding: &Finding, severity: Severity, part: &str) {
    assert_eq!(finding.severity, severity, "{finding}");
    assert!(finding.to_string().contains(part), "{part}: {finding}");
}

fn set(server: &RedisServer, setting: &str, value: &str) {
    server.raw(&["CONFIG", "SET", setting, value]).unwrap();
}

fn user(server: &RedisServer, rights: &[&str]) -> String {
    let user = [
        "ACL", "SETUSER", "app", "reset", "on", ">pw", "+@all", "~*", "&*",
    ];
    server.raw(&[&user[..], rights].concat()).unwrap();
    format!("redis://app:pw@127.0.0.1:{}/", server.port())
}

#[tokio::test]
async fn a_server_as_it_should_be_has_no_warnings() {
    let server = RedisServer::start_valkey(&["--appendonly", "yes", "--appendfsync", "always"]);
    let pool = builder(server.admin_url()).redis(RedisOptions::new().strict(true));
    let found = examine(&pool.build().await.unwrap()).await;
    assert_eq!(found.worst(), Severity::Limit);
    assert!(found.deployment().starts_with("one server, Valkey 9."));
    assert!(found.place().contains("prefix=lockattr"));
    let is_about = |finding: &&Finding| finding.severity == Severity::Limit;
    let limits: Vec<&Finding> = found.findings().iter().filter(is_about).collect();
    assert_eq!(limits.len(), 1, "{limits:?}");
    assert_eq!(limits[0].topic, Topic::Replication);
    assert!(
        found.to_string().lines().count() < 25,
        "more than one screen"
    );
}

#[tokio::test]
async fn a_server_that_evicts_is_found() {
    let server = RedisServer::start();
    let pool = pool(server.admin_url()).await;
    expect(
        &worst(&pool, Topic::Eviction).await,
        Severity::Good,
        "noeviction",
    );
    set(&server, "maxmemory-policy", "volatile-ttl");
    expect(
        &worst(&pool, Topic::Eviction).await,
        Severity::Warning,
        "volatile-ttl",
    );
}

#[tokio::test]
async fn replicas_that_are_missing_or_behind_are_found() {
    let master = RedisServer::start();
    let pool = pool(master.admin_url()).await;
    let port = master.port().to_string();
    expect(
        &worst(&pool, Topic::Replication).await,
        Severity::Limit,
        "no replica",
    );
    set(&master, "min-replicas-to-write", "1");
    expect(
        &worst(&pool, Topic::Replication).await,
        Severity::Warning,
        "NOREPLICAS",
    );
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]);
    eventually_async("the replica follows", || async {
        worst(&pool, Topic::Replication)
            .await
            .to_string()
            .contains("1 replica in step")
    })
    .await;
    replica.pause();
    eventually_async("the replica is behind", || async {
        let found = worst(&pool, Topic::Replication).await;
        found.severity == Severity::Warning && found.to_string().contains("is behind")
    })
    .await;
    replica.resume();
    eventually_async("it is no longer", || async {
        worst(&pool, Topic::Replication).await.severity == Severity::Limit
    })
    .await;
}

#[tokio::test]
async fn what_the_version_lacks_is_said() {
    let redis = RedisServer::start_redis(&[]);
    let version: String = redis::cmd("INFO").query(&mut redis.connection()).unwrap();
    let found = worst(&pool(redis.admin_url()).await, Topic::Version).await;
    if version.contains("redis_version:7.0") {
        expect(&found, Severity::Limit, "WAITAOF");
    }
    let valkey = RedisServer::start_valkey(&[]);
    expect(
        &worst(&pool(valkey.admin_url()).await, Topic::Version).await,
        Severity::Good,
        "Valkey 9.1.2",
    );
}

/// Returns the URL of a user who may do all but this.
#[tokio::test]
async fn an_idle_timeout_is_found() {
    let server = RedisServer::start();
    let pool = pool(server.admin_url()).await;
    expect(
        &worst(&pool, Topic::IdleTimeout).await,
        Severity::Good,
        "no idle connection",
    );
    set(&server, "timeout", "300");
    expect(
        &worst(&pool, Topic::IdleTimeout).await,
        Severity::Good,
        "300 s",
    );
    set(&server, "timeout", "5");
    expect(
        &worst(&pool, Topic::IdleTimeout).await,
        Severity::Warning,
        "5 s",
    );
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_found() {
    let clock = ServerClock::new();
    let server = RedisServer::start_with_clock(&clock);
    let pool = pool(server.admin_url()).await;
    expect(&worst(&pool, Topic::Clock).await, Severity::Good, " ms ");
    for (seconds, said) in [(3600, "ms ahead of"), (-3600, "ms behind")] {
        clock.set(seconds);
        // Valkey looks at its clock a few times a second.
        eventually_async("the server sees its clock", || async {
            worst(&pool, Topic::Clock).await.seen.contains(said)
        })
        .await;
        let found = worst(&pool, Topic::Clock).await;
        expect(&found, Severity::Warning, said);
        let off = [" 3600", " 3599"];
        assert!(
            off.iter().any(|off| format!(" {found}").contains(off)),
            "{found}"
        );
    }
}

#[tokio::test]
async fn a_ttl_that_is_short_for_the_way_is_found() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let pool = pool(server.admin_url_at(proxy.port())).await;
    expect(&worst(&pool, Topic::RoundTrip).await, Severity::Good, "30s");
    proxy.set_both(Policy::Delay(Duration::from_millis(10)));
    expect(&worst(&pool, Topic::RoundTrip).await, Severity::Good, "30s");
    // What the pool was asked for counts.
    let request = pool.lock("k").ttl(Duration::from_millis(300)).acquire();
    request.await.unwrap().release().await;
    expect(
        &worst(&pool, Topic::RoundTrip).await,
        Severity::Warning,
        "ttl of 300ms",
    );
    proxy.set_both(Policy::Pass);
    expect(
        &worst(&pool, Topic::RoundTrip).await,
        Severity::Good,
        "300ms",
    );
}

/// What the server behind a proxy says is known all the same; what it has no script for is not.
#[tokio::test]
async fn a_proxy_is_found_and_what_is_behind_it() {
    let server = RedisServer::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    let proxy = Twemproxy::start(&[&server]);
    let pool = pool(proxy.url()).await;
    expect(
        &worst(&pool, Topic::Messages).await,
        Severity::Warning,
        "HELLO",
    );
    expect(
        &worst(&pool, Topic::Eviction).await,
        Severity::Warning,
        "allkeys-lru",
    );
    expect(
        &worst(&pool, Topic::IdleTimeout).await,
        Severity::Unknown,
        "not known",
    );
    let direct = self::pool(server.admin_url()).await;
    expect(
        &worst(&direct, Topic::Messages).await,
        Severity::Good,
        "are told",
    );
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_a_finding() {
    let mut server = RedisServer::start();
    let pool = pool(server.admin_url()).await;
    server.pause();
    expect(
        &worst(&pool, Topic::Deployment).await,
        Severity::Warning,
        "cannot be asked",
    );
    server.resume();
    server.kill();
    eventually_async("the connection is lost", || async {
        worst(&pool, Topic::Deployment)
            .await
            .seen
            .contains("cannot be asked")
    })
    .await;
    server.restart();
    eventually_async("it answers", || async {
        let found = examine(&pool).await;
        found
            .findings()
            .iter()
            .all(|finding| finding.topic != Topic::Deployment)
    })
    .await;
    pool.shutdown(Service::LONG).await.unwrap();
}

/// Numbers and times are other ones each time.
fn without_numbers(text: &str) -> String {
    let mut words = Vec::new();
    for line in text.lines() {
        let line = line.split_whitespace().map(|word| {
            let is_number = word.starts_with(|c: char| c.is_ascii_digit());
            let is_url = word.starts_with("redis://");
            if is_number || is_url { "N" } else { word }
        });
        words.push(line.collect::<Vec<_>>().join(" "));
    }
    words.join("\n").replace(" ahead of", " behind")
}

/// docs/operations.md shows what is printed for this server.
#[tokio::test]
async fn the_guide_shows_a_report_as_it_is() {
    let shown = include_str!("../../../docs/operations.md");
    let (_, shown) = shown.split_once("```text\nredis://").unwrap();
    let (shown, _) = shown.split_once("```").unwrap();
    let settings = ["--appendonly", "yes", "--maxmemory-policy", "volatile-lru"];
    let server = RedisServer::start_valkey(&settings);
    let port = server.port().to_string();
    let _replica = RedisServer::start_valkey(&["--replicaof", "127.0.0.1", &port]);
    let url = user(&server, &["-config"]);
    let pool = pool(url.replace("127.0.0.1", "localhost")).await;
    eventually_async("the replica follows", || async {
        examine(&pool).await.to_string().contains("in step")
    })
    .await;
    let found = examine(&pool).await.to_string();
    assert_eq!(
        without_numbers(&format!("redis://{shown}")),
        without_numbers(&found),
        "{found}"
    );
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// At start-up each warning is traced once, and strict refuses what is warned of.
#[tokio::test]
async fn a_pool_warns_once_of_what_is_found() {
    let server = RedisServer::start_with(&["--appendonly", "yes"]);
    let proxy = Twemproxy::start(&[&server]);
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let pool = {
        let _default = tracing::subscriber::set_default(subscriber);
        pool(proxy.url()).await
    };
    for _ in 0..3 {
        pool.lock("k").acquire().await.unwrap().release().await;
    }
    let said = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert_eq!(said.matches("HELLO makes it close").count(), 1, "{said}");
    assert!(said.contains("every 10 to 250 ms"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");

    let strict = builder(proxy.url()).redis(RedisOptions::new().strict(true));
    let refused = strict.build().await.unwrap_err().to_string();
    assert!(refused.contains("HELLO"), "{refused}");
    eventually("it is still free", || server.locks().is_empty());
}
