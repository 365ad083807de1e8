//! Calls dropped at random points leave nothing behind on the server.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lockattr::{LockPool, LockPoolBuilder};
use lockattr_tests::{
    Deployed, Deployment, Network, Policy, Proxy, RedisServer, Service, eventually,
};

const TASKS: u64 = 64;
const KEYS: usize = 8;
/// Each pool plays the role of a process, so the calls wait for other processes too.
const POOLS: u64 = 4;

struct Storm {
    rounds: u64,
    /// A call is dropped after at most this time.
    patience: Duration,
}

/// The holder of each key's section, seen from outside of the locks.
#[derive(Default)]
struct Sections([AtomicU64; KEYS]);

struct Inside<'a>(&'a AtomicU64);

/// Returns the factor for the number of calls: `LOCKATTR_TEST_STORM=10`.
fn scale() -> u64 {
    let scale = std::env::var("LOCKATTR_TEST_STORM");
    scale.map_or(1, |scale| scale.parse().expect("a number"))
}

impl<'a> Inside<'a> {
    fn enter(section: &'a AtomicU64) -> Self {
        assert_eq!(
            section.fetch_add(1, Ordering::SeqCst),
            0,
            "two holders at a time"
        );
        Self(section)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Returns how many calls entered, and how many were dropped.
///
/// Neither a ttl nor a claim ends within the test: every lock that becomes free was released or
/// passed on, also where a handoff crossed the withdrawal of its waiter.
async fn run(storm: Storm, builder: LockPoolBuilder) -> (u64, u64, Vec<LockPool>) {
    let builder = builder
        .default_ttl(Service::LONG)
        .claim_window(Service::LONG * 3);
    let mut pools = Vec::new();
    for _ in 0..POOLS {
        pools.push(builder.clone().build().await.unwrap());
    }
    let sections = Arc::new(Sections::default());
    let counts = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
    let seeds = Arc::new(Mutex::new(fastrand::Rng::with_seed(7)));
    let tasks: Vec<_> = (0..TASKS)
        .zip(pools.iter().cycle())
        .map(|(_, pool)| {
            let (pool, sections, counts) =
                (pool.clone(), Arc::clone(&sections), Arc::clone(&counts));
            let mut random = seeds.lock().unwrap().fork();
            let (rounds, patience) = (storm.rounds * scale() / TASKS, storm.patience);
            tokio::spawn(async move {
                for _ in 0..rounds {
                    let key = random.usize(..KEYS);
                    let stay = patience.mul_f64(random.f64() / 8.0);
                    let call = pool.lock(format!("storm:{key}")).run(|_| async {
                        let _inside = Inside::enter(&sections.0[key]);
                        counts.0.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(stay).await;
                    });
                    let leave_after = patience.mul_f64(random.f64());
                    if tokio::time::timeout(leave_after, call).await.is_err() {
                        counts.1.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    (
        counts.0.load(Ordering::Relaxed),
        counts.1.load(Ordering::Relaxed),
        pools,
    )
}

fn expect_nothing_left(servers: &dyn Deployed) {
    eventually("every lock is released", || servers.locks().is_empty());
    let mut rest = servers.names();
    rest.retain(|name| !name.ends_with("#fence"));
    let tombstones = rest.iter().filter(|name| name.contains("#tomb:")).count();
    assert_eq!(
        rest.len(),
        tombstones,
        "only tombstones and fences may be left: {rest:?}"
    );
    for name in &rest {
        assert!(servers.ends(name), "{name} has no end");
    }
}

fn expect_all_released(pools: &[LockPool]) {
    let stats: Vec<_> = pools.iter().map(LockPool::stats).collect();
    assert!(
        stats
            .iter()
            .all(|stats| stats.release_abandoned == 0 && stats.lost == 0)
    );
    assert!(stats.iter().any(|stats| stats.passed_on > 0), "{stats:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_random_drops_leave_no_lock() {
    let server = RedisServer::start();
    let storm = Storm {
        rounds: 25_600,
        patience: Duration::from_millis(8),
    };
    let (entered, dropped, pools) = run(storm, LockPool::builder().url(server.url())).await;
    assert!(
        dropped >= 10_000 && entered >= 500,
        "{entered} entered, {dropped} dropped: not much of a storm"
    );
    println!("{entered} entered, {dropped} dropped");
    expect_nothing_left(&server);
    expect_all_released(&pools);
}

#[tokio::test(flavor = "multi_thread")]
async fn random_drops_far_from_the_server_leave_no_lock() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    proxy.set_both(Policy::Delay(Duration::from_millis(25)));
    let storm = Storm {
        rounds: 12_800,
        patience: Duration::from_millis(160),
    };
    let builder = LockPool::builder()
        .url(server.url_at(proxy.port()))
        .response_timeout(Duration::from_secs(10));
    let (entered, dropped, pools) = run(storm, builder).await;
    assert!(
        dropped >= 10_000 && entered >= 100,
        "{entered} entered, {dropped} dropped: not much of a storm"
    );
    println!("{entered} entered, {dropped} dropped");
    expect_nothing_left(&server);
    expect_all_released(&pools);
}

#[tokio::test(flavor = "multi_thread")]
async fn random_drops_behind_sentinels_leave_no_lock() {
    drops_while_masters_change(Deployment::Sentinel).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_drops_on_a_cluster_leave_no_lock() {
    drops_while_masters_change(Deployment::Cluster).await;
}

/// Masters hand over, and slots move, without losing anything.
async fn drops_while_masters_change(deployment: Deployment) {
    let network = Network::new();
    let servers = deployment.start(&network, &[]);
    servers.replaces_masters(false);
    let builder = deployment.builder(&servers.url());
    let storm = Storm {
        rounds: 25_600,
        patience: Duration::from_millis(40),
    };
    let is_over = Arc::new(AtomicBool::new(false));
    let ends = Arc::clone(&is_over);
    let changing = std::thread::spawn(move || {
        let mut random = fastrand::Rng::with_seed(7);
        let mut changes = 0;
        while !ends.load(Ordering::Relaxed) {
            let pause = Duration::from_millis(random.u64(..50));
            if deployment == Deployment::Cluster && random.u8(..4) > 0 {
                servers.move_slot(&mut random, pause);
            } else {
                let masters = servers.masters();
                servers.hand_over(masters[random.usize(..masters.len())]);
            }
            servers.settle();
            changes += 1;
            std::thread::sleep(pause);
        }
        (servers, changes)
    });
    let (entered, dropped, pools) = run(storm, builder).await;
    is_over.store(true, Ordering::Relaxed);
    let (servers, changes) = changing.join().expect("the deployment is whole");
    println!("{entered} entered, {dropped} dropped, {changes} changes");
    assert!(
        dropped >= 10_000 && entered >= 500 && changes > 0,
        "{entered} entered, {dropped} dropped, {changes} changes: not much of a storm"
    );
    expect_nothing_left(&*servers);
    expect_all_released(&pools);
}

#[tokio::test(flavor = "multi_thread")]
async fn random_drops_in_memory_leave_no_lock() {
    let name = "memory://storm";
    let storm = Storm {
        rounds: 25_600,
        patience: Duration::from_millis(8),
    };
    let (entered, dropped, _pools) = run(storm, LockPool::builder().url(name)).await;
    assert!(
        dropped >= 10_000 && entered >= 500,
        "{entered} entered, {dropped} dropped: not much of a storm"
    );
    println!("{entered} entered, {dropped} dropped");
    let service = Service::Memory("storm".to_owned());
    for key in 0..KEYS {
        service.becomes_free(&format!("storm:{key}")).await;
    }
}
