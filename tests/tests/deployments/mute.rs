//! Servers and proxies that send no messages: the pool polls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lockattr::conformance::{Conformance, Violations};
use lockattr::{BackendErrorKind, Error, LockPool, LockPoolBuilder};
use lockattr_tests::{
    CANARY, Direction, Policy, Proxy, RedisCluster, RedisServer, Service, Twemproxy,
    eventually_async,
};

fn builder(url: impl AsRef<str>) -> LockPoolBuilder {
    LockPool::builder().url(url)
}

async fn pool(url: impl AsRef<str>) -> LockPool {
    builder(url).build().await.unwrap()
}

async fn hold(pool: &LockPool, key: &str) -> lockattr::Guard {
    let request = pool.lock(key).ttl(Service::LONG).wait(Service::LONG);
    request.acquire().await.unwrap()
}

/// Tasks of several pools that enter the same few keys: none is ever with another one, and the tokens of
/// a key grow.
async fn contend(pools: &[LockPool]) {
    let keys: Arc<Vec<[AtomicU32; 2]>> = Arc::new((0..3).map(|_| Default::default()).collect());
    let mut tasks = Vec::new();
    for pool in pools {
        for n in 0..12 {
            let (pool, keys) = (pool.clone(), Arc::clone(&keys));
            tasks.push(tokio::spawn(async move {
                for round in 0..10 {
                    let id = (n + round) % 3;
                    let guard = hold(&pool, &format!("order:{id}")).await;
                    let [inside, entered] = &keys[id];
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "alone");
                    tokio::task::yield_now().await;
                    inside.fetch_sub(1, Ordering::SeqCst);
                    entered.fetch_add(1, Ordering::SeqCst);
                    guard.release().await;
                }
            }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    let entered = keys
        .iter()
        .map(|[_, entered]| entered.load(Ordering::SeqCst));
    assert_eq!(entered.sum::<u32>() as usize, pools.len() * 120);
}

#[tokio::test]
async fn it_conforms() -> Result<(), Violations> {
    let server = RedisServer::start();
    let proxy = Twemproxy::start(&[&server]);
    let checks = Conformance::of(builder(proxy.url())).ttl(Duration::from_millis(600));
    checks.check().await
}

/// twemproxy chooses the server by the first name of a script, and does not look at the others.
#[tokio::test]
async fn each_key_is_one_lock_behind_a_proxy_with_several_servers() {
    let servers = [(); 3].map(|()| RedisServer::start());
    let proxy = Twemproxy::start(&servers.each_ref());
    let pools = [pool(proxy.url()).await, pool(proxy.url()).await];
    // Many at once, so that they could share a call.
    let taking = (0..60).map(|id| {
        let pool = pools[0].clone();
        tokio::spawn(async move { hold(&pool, &format!("order:{id}")).await })
    });
    let mut guards = Vec::new();
    for taken in taking.collect::<Vec<_>>() {
        guards.push(taken.await.unwrap());
    }
    for server in &servers {
        assert!(server.locks().len() > 5, "keys are spread");
    }
    let others = (0..60).map(|id| {
        let pool = pools[1].clone();
        tokio::spawn(async move { pool.lock(format!("order:{id}")).try_acquire().await })
    });
    for other in others.collect::<Vec<_>>() {
        assert!(other.await.unwrap().unwrap().is_none(), "each is held");
    }
    for guard in guards {
        guard.release().await;
    }
    for server in &servers {
        assert_eq!(server.locks(), [""; 0]);
    }
    contend(&pools).await;
}

#[tokio::test]
async fn what_the_proxy_says_of_a_lost_server_is_an_unknown_outcome() {
    let mut server = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let proxy = Twemproxy::start(&[&server]);
    let (holder, other) = (pool(proxy.url()).await, pool(proxy.url()).await);
    let guard = hold(&holder, "k").await;
    server.kill();
    let once = other.lock("free").wait(Duration::from_millis(30)).acquire();
    let failed = once.await.unwrap_err();
    let Error::Backend { source, .. } = &failed else {
        panic!("{failed}");
    };
    assert!(source.to_string().contains("Connection"), "{failed}");
    assert_eq!(source.kind(), BackendErrorKind::Unavailable, "{failed}");
    server.restart();
    // The acquire might be on its way yet.
    eventually_async("its owner has a tombstone", || async {
        !server.keys("*#tomb:*").is_empty()
    })
    .await;
    hold(&other, "free").await.release().await;
    assert!(other.lock("k").try_acquire().await.unwrap().is_none());
    guard.lease().extend(Service::LONG).await.unwrap();
    guard.release().await;
    hold(&other, "k").await.release().await;
    assert!(server.locks().is_empty());
}

/// The scripts' text is sent again to a server that has forgotten it.
#[tokio::test]
async fn scripts_are_forgotten_behind_a_proxy() {
    let server = RedisServer::start();
    let proxy = Twemproxy::start(&[&server]);
    let pool = pool(proxy.url()).await;
    for _ in 0..5 {
        server.raw(&["SCRIPT", "FLUSH"]).unwrap();
        hold(&pool, "k").await.release().await;
    }
    assert!(server.locks().is_empty());
}

/// A connection that is closed is noticed by itself, so that a call that tries once finds a new one.
#[tokio::test]
async fn a_lost_connection_is_noticed_before_a_call_needs_it() {
    let server = RedisServer::start();
    let twemproxy = Twemproxy::start(&[&server]);
    let between = Proxy::start(twemproxy.port());
    let url = format!("redis://127.0.0.1:{}/", between.port());
    let pool = builder(url).build().await.unwrap();
    for _ in 0..10 {
        between.cut();
        let taken = pool.lock("k").try_acquire().await.unwrap();
        taken.expect("nobody holds it").release().await;
    }
    // One on which nothing comes any more.
    between.set(Direction::Replies, Policy::Stall);
    let refused = pool.lock("k").wait(Duration::from_millis(50)).acquire();
    assert!(matches!(refused.await, Err(Error::Backend { .. })));
    between.set(Direction::Replies, Policy::Pass);
    hold(&pool, "k").await.release().await;
}

/// A question without a name would make the proxy close the connection.
#[tokio::test]
async fn an_idle_connection_is_asked_through_a_proxy() {
    let server = RedisServer::start();
    let proxy = Twemproxy::start(&[&server]);
    let pool = pool(proxy.url()).await;
    let calls = server.script_calls();
    eventually_async("it was asked", || async { server.script_calls() > calls }).await;
    hold(&pool, "k").await.release().await;
    // The question, the acquire and the release.
    assert_eq!(
        server.script_calls(),
        calls + 3,
        "no new connection was set up"
    );
}

/// Processes with and without messages exclude each other, and none waits for ever.
#[tokio::test]
async fn a_fleet_may_be_mixed() {
    let server = RedisServer::start();
    let proxy = Twemproxy::start(&[&server]);
    let pools = [pool(proxy.url()).await, pool(server.url()).await];
    contend(&pools).await;
    assert!(server.locks().is_empty());
}

/// Without the right to SUBSCRIBE, or where it has another name.
#[tokio::test]
async fn without_subscribe_it_conforms() {
    let forbidden = RedisServer::start();
    let subscribe = ["ACL", "SETUSER", "locker", "-subscribe"];
    forbidden.raw(&subscribe).unwrap();
    let renamed = RedisServer::start_with(&["--rename-command", "SUBSCRIBE", ""]);
    let hello = RedisServer::start_with(&["--rename-command", "HELLO", ""]);
    for server in [forbidden, renamed, hello] {
        let checks = Conformance::of(builder(server.url())).ttl(Duration::from_millis(600));
        checks.check().await.unwrap();
        assert_eq!(
            server.keys("*#queue*"),
            [""; 0],
            "nobody can be told of a lease"
        );
    }
}

/// On a cluster each node is asked for its slots' names alone, as always.
#[tokio::test]
async fn without_subscribe_a_cluster_conforms() -> Result<(), Violations> {
    let cluster = RedisCluster::start(3, 0);
    for node in cluster.nodes() {
        node.raw(&["ACL", "SETUSER", "locker", "-subscribe"])
            .unwrap();
    }
    let checks = Conformance::of(builder(cluster.url())).ttl(Duration::from_millis(600));
    checks.check().await
}

/// Everything but the scripts and what they call may be forbidden.
#[tokio::test]
async fn what_is_forbidden_is_said_if_it_is_needed() {
    let server = RedisServer::start();
    let url_without = |command: &str| {
        let (user, denied) = (format!("app-{command}"), format!("-{command}"));
        let rights = ["on", ">pw", "+@all", "~*", "&*", &denied];
        let set = [&["ACL", "SETUSER", &user], &rights[..]].concat();
        server.raw(&set).unwrap();
        format!("redis://{user}:pw@127.0.0.1:{}/", server.port())
    };
    for command in [
        "CONFIG",
        "INFO",
        "CLIENT",
        "SUBSCRIBE",
        "PING",
        "SELECT",
        "ROLE",
        "ACL",
    ] {
        let pool = pool(url_without(command)).await;
        hold(&pool, "k").await.release().await;
    }
    for command in ["EVAL", "EVALSHA"] {
        let refused = builder(url_without(command))
            .build()
            .await
            .unwrap_err()
            .to_string();
        assert!(refused.to_uppercase().contains(command), "{refused}");
        assert!(!refused.contains(CANARY));
    }
}
