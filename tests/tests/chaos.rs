//! Several pools on few keys, over connections that are delayed, cut and black-holed, on a server
//! that stops and goes on: still no two holders within their validity, and nothing left at the end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lockattr::{Lease, LockPool};
use lockattr_tests::{Direction, Policy, Proxy, RedisServer, eventually};

const SEED: u64 = 20_261_124;
const POOLS: usize = 3;
const TASKS: usize = 6;
const KEYS: usize = 3;
const TTL: Duration = Duration::from_millis(300);
const DURATION: Duration = Duration::from_secs(10);

/// Who was let in last, by key.
#[derive(Default)]
struct Door {
    last: Mutex<HashMap<usize, Lease>>,
    entered: AtomicU64,
}

impl Door {
    fn enter(&self, key: usize, lease: &Lease) {
        let mut last = self.last.lock().unwrap();
        if let Some(before) = last.get(&key) {
            // In this order: if ours is valid after theirs was seen valid, both were at that time.
            let (theirs, ours) = (before.is_valid(), lease.is_valid());
            assert!(
                !(theirs && ours),
                "two valid leases: {before:?} and {lease:?}"
            );
            assert!(
                !ours || before.fencing_token() < lease.fencing_token(),
                "{before:?} before {lease:?}"
            );
        }
        if lease.is_valid() {
            last.insert(key, lease.clone());
        }
        self.entered.fetch_add(1, Ordering::Relaxed);
    }
}

async fn work(pool: LockPool, door: Arc<Door>, ends: Arc<AtomicBool>, mut random: fastrand::Rng) {
    while !ends.load(Ordering::Relaxed) {
        let key = random.usize(..KEYS);
        let stay = TTL.mul_f64(random.f64() * 2.0);
        let call = pool
            .lock(format!("chaos:{key}"))
            .ttl(TTL)
            .wait(TTL)
            .renew(random.bool())
            .run(|lease| {
                let door = &door;
                async move {
                    door.enter(key, &lease);
                    tokio::time::sleep(stay).await;
                }
            });
        // Errors are expected here, and some callers lose their patience.
        let _ = tokio::time::timeout(TTL.mul_f64(random.f64() * 5.0), call).await;
    }
}

/// One thing goes wrong, for a while.
fn disturb(random: &mut fastrand::Rng, proxies: &[Proxy], server: &RedisServer) {
    let proxy = &proxies[random.usize(..proxies.len())];
    let a_while = TTL.mul_f64(random.f64() * 2.0);
    let direction = if random.bool() {
        Direction::Replies
    } else {
        Direction::Requests
    };
    match random.u32(..7) {
        0 => proxy.cut(),
        1 => proxy.set(direction, Policy::Delay(TTL.mul_f64(random.f64() * 0.6))),
        2 => proxy.set(direction, Policy::Stall),
        3 => proxy.set(direction, Policy::Drop),
        4 => {
            server.pause();
            std::thread::sleep(a_while);
            server.resume();
        }
        5 => redis::cmd("SCRIPT")
            .arg("FLUSH")
            .exec(&mut server.connection())
            .unwrap(),
        _ => redis::cmd("CLIENT")
            .arg("KILL")
            .arg("TYPE")
            .arg("normal")
            .exec(&mut server.connection())
            .unwrap(),
    }
    std::thread::sleep(a_while);
    proxy.set_both(Policy::Pass);
}

#[test]
fn whatever_happens_on_the_way() {
    let server = RedisServer::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let proxies: Vec<Proxy> = (0..POOLS).map(|_| Proxy::start(server.port())).collect();
    let door = Arc::new(Door::default());
    let ends = Arc::new(AtomicBool::new(false));
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut pools = Vec::new();
    let mut tasks = Vec::new();
    for proxy in &proxies {
        let builder = LockPool::builder().url(server.url_at(proxy.port()));
        let pool = runtime.block_on(builder.build()).unwrap();
        for _ in 0..TASKS {
            let work = work(
                pool.clone(),
                Arc::clone(&door),
                Arc::clone(&ends),
                random.fork(),
            );
            tasks.push(runtime.spawn(work));
        }
        pools.push(pool);
    }
    let start = Instant::now();
    while start.elapsed() < DURATION {
        disturb(&mut random, &proxies, &server);
    }
    ends.store(true, Ordering::Relaxed);
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    let entered = door.entered.load(Ordering::Relaxed);
    let stats: Vec<_> = pools.iter().map(LockPool::stats).collect();
    println!("seed {SEED}: {entered} entered; {stats:#?}");
    assert!(entered > 20, "{entered} entered: too little to tell");
    assert!(
        stats.iter().map(|pool| pool.lost).sum::<u64>() > 0,
        "no lease was ever lost: the weather was too good"
    );

    eventually("everything is released", || server.locks().is_empty());
    for pool in &pools {
        let key = pool
            .lock("chaos:0")
            .ttl(Duration::from_secs(10))
            .wait(Duration::from_secs(10))
            .acquire();
        let guard = runtime.block_on(key).unwrap();
        runtime.block_on(guard.release());
    }
    assert!(server.locks().is_empty());
}
