//! Redis Cluster.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use lockattr::conformance::{Conformance, Violations};
use lockattr::{BackendErrorKind, Error, LockPool, Wait};
use lockattr_tests::{RedisCluster, RedisServer, eventually_async};

const LONG: Duration = Duration::from_secs(600);

async fn pool(url: impl AsRef<str>) -> LockPool {
    LockPool::builder().url(url).build().await.unwrap()
}

/// What calls do under the lock: they notice if they are not alone, or not in the order of their tokens.
#[derive(Default)]
struct Guarded {
    inside: AtomicU32,
    greatest: AtomicU64,
    calls: AtomicU32,
    violations: AtomicU32,
}

impl Guarded {
    async fn enter(&self, token: u64) {
        let others = self.inside.fetch_add(1, Ordering::SeqCst);
        let before = self.greatest.fetch_max(token, Ordering::SeqCst);
        if others > 0 || before >= token {
            self.violations.fetch_add(1, Ordering::SeqCst);
        }
        tokio::task::yield_now().await;
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn it_conforms() -> Result<(), Violations> {
    let cluster = RedisCluster::start(3, 0);
    let nodes = cluster.nodes().iter();
    nodes.for_each(RedisServer::allow_inspection);
    let settings = LockPool::builder().url(cluster.url());
    let checks = Conformance::of(settings).ttl(Duration::from_millis(600));
    checks.check().await
}

#[tokio::test]
async fn keys_are_spread_and_each_is_one_lock() {
    let cluster = RedisCluster::start(3, 0);
    let pools = [pool(cluster.url()).await, pool(cluster.url()).await];
    let mut guards = Vec::new();
    for id in 0..60 {
        let guard = pools[0]
            .lock(format!("order:{id}"))
            .acquire()
            .await
            .unwrap();
        let other = pools[1]
            .lock(format!("order:{id}"))
            .try_acquire()
            .await
            .unwrap();
        assert!(other.is_none());
        guards.push(guard);
    }
    for node in cluster.nodes() {
        assert!(node.locks().len() > 5, "{:?}", node.locks());
    }
    for guard in guards {
        guard.release().await;
    }
    assert!(cluster.locks().is_empty());
    for node in cluster.nodes() {
        let log = node.raw(&["ACL", "LOG"]).unwrap();
        assert_eq!(log, redis::Value::Array(Vec::new()), "nothing was refused");
    }
}

/// Calls for keys of all slots at the same time, by which single requests for several slots would fail.
#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_exclude_each_other() {
    let cluster = RedisCluster::start(3, 0);
    let pools = [pool(cluster.url()).await, pool(cluster.url()).await];
    let guarded: Arc<Vec<Guarded>> = Arc::new((0..8).map(|_| Guarded::default()).collect());
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..64 {
        let (pool, guarded) = (pools[task % 2].clone(), Arc::clone(&guarded));
        tasks.spawn(async move {
            for call in 0..8 {
                let key = (task + call) % 8;
                let guarded = &guarded[key];
                let request = pool.lock(format!("key:{key}")).wait(Wait::Forever);
                let run =
                    request.run(|lease| async move { guarded.enter(lease.fencing_token()).await });
                run.await.unwrap();
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    for guarded in guarded.iter() {
        assert_eq!(guarded.calls.load(Ordering::SeqCst), 64);
        assert_eq!(guarded.violations.load(Ordering::SeqCst), 0);
    }
    assert!(cluster.locks().is_empty());
}

/// A waiter hears of the release by its own node: it has not asked again by then.
#[tokio::test]
async fn a_waiter_is_handed_the_lock() {
    let cluster = RedisCluster::start(3, 0);
    let builder = LockPool::builder().url(cluster.url()).claim_window(LONG);
    let (holding, waiting) = (
        builder.clone().build().await.unwrap(),
        builder.build().await.unwrap(),
    );
    for id in 0..6 {
        let request = || holding.lock(format!("k:{id}")).ttl(LONG);
        let guard = request().acquire().await.unwrap();
        let waiter = waiting.lock(format!("k:{id}")).ttl(LONG).wait(LONG);
        let waiter = tokio::spawn(waiter.acquire());
        eventually_async("it waits", || async { waiting.stats().waited == id + 1 }).await;
        let token = guard.lease().fencing_token();
        guard.release().await;
        let guard = waiter.await.unwrap().unwrap();
        assert!(guard.lease().fencing_token() > token);
        guard.release().await;
    }
}

#[tokio::test]
async fn a_plain_url_finds_the_cluster() {
    let cluster = RedisCluster::start(3, 0);
    let node = cluster.nodes()[0].url();
    let pool = pool(node).await;
    for id in 0..20 {
        pool.lock(format!("k:{id}"))
            .acquire()
            .await
            .unwrap()
            .release()
            .await;
    }
    // One seed is enough, while the others are away.
    let ports = [1, cluster.nodes()[2].port()];
    let one = self::pool(RedisCluster::url_of(&ports)).await;
    one.lock("k").acquire().await.unwrap().release().await;
}

#[tokio::test]
async fn what_is_wrong_is_said_at_start_up() {
    let refused = |url: String| async move {
        let builder = LockPool::builder().url(url);
        builder.build().await.unwrap_err()
    };
    let single = RedisServer::start();
    let url = single.admin_url().replace("redis://", "redis+cluster://");
    let error = refused(url).await;
    assert!(
        error.to_string().contains("cluster support disabled"),
        "{error}"
    );
    let error = refused(RedisCluster::url_of(&[1, 2])).await;
    let text = error.to_string();
    assert!(matches!(error, Error::Connect { .. }), "{text}");
    assert!(
        text.contains("127.0.0.1:1") && text.contains("127.0.0.1:2"),
        "{text}"
    );
    let alone = RedisServer::start_with(&["--cluster-enabled", "yes"]);
    for url in [
        alone.admin_url(),
        alone.admin_url().replace("redis://", "redis+cluster://"),
    ] {
        let error = refused(url).await;
        let Error::Connect { source, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(source.kind(), BackendErrorKind::Unavailable);
        assert!(error.to_string().contains("16384 slots"), "{error}");
    }
}

/// While a slot moves, its names are on both nodes, and after that on the other.
#[tokio::test]
async fn a_held_lock_survives_its_slot_s_move() {
    let cluster = RedisCluster::start(3, 0);
    let (pool, other) = (pool(cluster.url()).await, pool(cluster.url()).await);
    let ttl = Duration::from_millis(1500);
    let guard = pool.lock("order:42").ttl(ttl).acquire().await.unwrap();
    let name = cluster.locks().remove(0);
    let (slot, from) = cluster.owner(&name);
    let to = (from + 1) % 3;
    cluster.begin_migration(slot, from, to);
    let renewed = pool.stats().renewed;
    // By the node that has its lock, though other names of the slot would be asked for elsewhere.
    eventually_async("renewed while it moves", || async {
        pool.stats().renewed > renewed
    })
    .await;
    cluster.move_keys(slot, from, to);
    let renewed = pool.stats().renewed;
    eventually_async("renewed where it went", || async {
        pool.stats().renewed > renewed
    })
    .await;
    cluster.end_migration(slot, to);
    let renewed = pool.stats().renewed;
    eventually_async("renewed after it", || async {
        pool.stats().renewed > renewed
    })
    .await;
    assert!(guard.lease().is_valid());
    let busy = other.lock("order:42").try_acquire().await.unwrap();
    assert!(
        busy.is_none(),
        "a grant was taken for busy, or the lock got lost"
    );
    let token = guard.lease().fencing_token();
    guard.release().await;
    let guard = other.lock("order:42").acquire().await.unwrap();
    assert!(guard.lease().fencing_token() > token);
    guard.release().await;
    assert!(cluster.locks().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_move_under_load() {
    let cluster = RedisCluster::start(3, 0);
    let pools = [pool(cluster.url()).await, pool(cluster.url()).await];
    let guarded: Arc<Vec<Guarded>> = Arc::new((0..4).map(|_| Guarded::default()).collect());
    let is_over = Arc::new(AtomicBool::new(false));
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..64 {
        let (pool, guarded) = (pools[task % 2].clone(), Arc::clone(&guarded));
        let is_over = Arc::clone(&is_over);
        tasks.spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                let guarded = &guarded[task % 4];
                let request = pool.lock(format!("key:{}", task % 4)).wait(Wait::Forever);
                let run =
                    request.run(|lease| async move { guarded.enter(lease.fencing_token()).await });
                run.await.unwrap();
            }
        });
    }
    for round in 0..3 {
        for key in 0..4 {
            let held = pools[0]
                .lock(format!("key:{key}"))
                .wait(Wait::Forever)
                .acquire()
                .await
                .unwrap();
            let names = cluster.locks();
            let name = names
                .iter()
                .find(|name| name.ends_with(&format!(":key:{key}")))
                .unwrap();
            let (slot, from) = cluster.owner(name);
            let to = (from + 1) % 3;
            let cluster = &cluster;
            let moving = || {
                cluster.begin_migration(slot, from, to);
                cluster.move_keys(slot, from, to);
                // What was asked for meanwhile, and came to the old node.
                cluster.move_keys(slot, from, to);
                cluster.end_migration(slot, to);
            };
            tokio::task::block_in_place(moving);
            assert!(held.lease().is_valid(), "round {round}");
            held.release().await;
        }
        let done = || {
            guarded
                .iter()
                .map(|it| it.calls.load(Ordering::SeqCst))
                .sum::<u32>()
        };
        let before = done();
        eventually_async("calls go on", || async { done() > before + 100 }).await;
    }
    is_over.store(true, Ordering::Relaxed);
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let violations: u32 = guarded
        .iter()
        .map(|it| it.violations.load(Ordering::SeqCst))
        .sum();
    assert_eq!(violations, 0);
    assert!(cluster.locks().is_empty());
}

/// A replica that is in step takes over: nothing is lost.
#[tokio::test]
async fn a_planned_failover_keeps_leases() {
    let cluster = RedisCluster::start(3, 1);
    let pool = pool(cluster.url()).await;
    let ttl = Duration::from_millis(1500);
    let guard = pool.lock("order:42").ttl(ttl).acquire().await.unwrap();
    let (_, master) = cluster.owner(&cluster.locks().remove(0));
    cluster.fail_over_to(cluster.partner(master));
    let renewed = pool.stats().renewed;
    eventually_async("renewed there", || async { pool.stats().renewed > renewed }).await;
    assert!(guard.lease().is_valid());
    let token = guard.lease().fencing_token();
    guard.release().await;
    let guard = pool.lock("order:42").acquire().await.unwrap();
    assert!(guard.lease().fencing_token() > token);
    guard.release().await;
}

/// The others' keys are not affected, and those of the lost node come back with its replica.
#[tokio::test]
async fn a_node_is_lost_and_its_replica_promoted() {
    let mut cluster = RedisCluster::start(3, 1);
    let pool = pool(cluster.url()).await;
    let mut guards = Vec::new();
    for id in 0..12 {
        let request = pool.lock(format!("k:{id}")).ttl(Duration::from_secs(5));
        guards.push(request.acquire().await.unwrap());
    }
    let name = cluster
        .locks()
        .into_iter()
        .find(|name| name.ends_with("k:0"))
        .unwrap();
    let (_, lost) = cluster.owner(&name);
    let replica = cluster.partner(lost);
    let locks = cluster.nodes()[lost].locks();
    let on_lost: Vec<usize> = (0..12)
        .filter(|id| locks.iter().any(|name| name.ends_with(&format!(":k:{id}"))))
        .collect();
    cluster.node_mut(lost).kill();
    cluster.becomes_master(replica);
    let mut tokens = Vec::new();
    for (id, guard) in guards.into_iter().enumerate() {
        tokens.push((id, guard.lease().fencing_token()));
        // Replication is asynchronous: the last leases may be lost with the node, and no others.
        let is_on_lost = on_lost.contains(&id);
        assert!(guard.lease().is_valid() || is_on_lost, "k:{id}");
        guard.release().await;
    }
    for (id, token) in tokens {
        let guard = pool
            .lock(format!("k:{id}"))
            .wait(LONG)
            .acquire()
            .await
            .unwrap();
        assert!(guard.lease().fencing_token() > token, "k:{id}");
        guard.release().await;
    }
}
