//! Calls that are dropped at random points, from pools that play the role of processes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use lockattr::{LockPool, LockPoolBuilder, LockRequest, Mode};

use crate::{Deployed, Deployment, Network, Purpose, Service, eventually};

const TASKS: u64 = 64;
const KEYS: usize = 8;
/// The calls wait for other pools too.
const POOLS: u64 = 4;

/// How long a storm lasts.
#[derive(Debug, Clone, Copy)]
pub enum Length {
    /// So many calls.
    Calls(u64),
    /// So much time.
    Time(Duration),
}

/// Many calls that want few keys, most of which are dropped.
#[derive(Debug, Clone, Copy)]
pub struct Storm {
    /// How long it lasts.
    pub length: Length,
    /// A call is dropped after at most this time.
    pub patience: Duration,
    /// Whether some keys have readers and writers, and some have permits.
    pub modes: bool,
}

/// What has happened in a storm.
#[derive(Debug)]
pub struct Damage {
    /// Calls that had the key.
    pub entered: u64,
    /// Calls that were dropped.
    pub dropped: u64,
    /// How often the servers were disturbed.
    pub changes: u64,
    /// The pools, which are still open.
    pub pools: Vec<LockPool>,
}

/// The holders of each key's section, seen from outside of the locks.
#[derive(Default)]
struct Sections([AtomicU64; KEYS]);

/// Counts as more than all readers.
const WRITER: u64 = 1 << 32;
const PERMITS: u32 = 3;

struct Inside<'a> {
    section: &'a AtomicU64,
    weight: u64,
}

impl<'a> Inside<'a> {
    fn enter(section: &'a AtomicU64, mode: Mode) -> Self {
        let (weight, most) = match mode {
            Mode::Shared => (1, WRITER - 1),
            Mode::Permits {
                permits, weight, ..
            } => (weight.into(), permits.into()),
            _ => (WRITER, WRITER),
        };
        let taken = section.fetch_add(weight, Ordering::SeqCst) + weight;
        assert!(taken <= most, "{mode} beside others: {taken}");
        Self { section, weight }
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.section.fetch_sub(self.weight, Ordering::SeqCst);
    }
}

/// Lets a call ask for its key in one of the modes of that key.
fn in_its_mode(request: LockRequest, key: usize, random: &mut fastrand::Rng) -> LockRequest {
    match key {
        4..6 if random.u8(..3) > 0 => request.shared(),
        0..6 => request,
        _ => request.permits(PERMITS).weight(random.u32(1..3)),
    }
}

impl Storm {
    /// Returns the keys.
    pub fn keys() -> impl Iterator<Item = String> {
        (0..KEYS).map(|key| format!("storm:{key}"))
    }

    /// Lets it rage.
    ///
    /// Neither a ttl nor a claim ends within the time of a test: every lock that becomes free was released or
    /// passed on, also where a handoff crossed the withdrawal of its waiter.
    ///
    /// # Panics
    ///
    /// When no pool can be built, or two calls have a key at the same time.
    pub async fn run(self, builder: LockPoolBuilder) -> Damage {
        self.rage(pools(builder).await).await
    }

    async fn rage(self, pools: Vec<LockPool>) -> Damage {
        let sections = Arc::new(Sections::default());
        let counts = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
        let seeds = Arc::new(Mutex::new(fastrand::Rng::with_seed(7)));
        let start = Instant::now();
        let tasks: Vec<_> = (0..TASKS)
            .zip(pools.iter().cycle())
            .map(|(_, pool)| {
                let (pool, sections) = (pool.clone(), Arc::clone(&sections));
                let counts = Arc::clone(&counts);
                let mut random = seeds.lock().expect("nobody panics here").fork();
                tokio::spawn(async move {
                    let mut calls = 0;
                    while match self.length {
                        Length::Calls(all) => calls < all / TASKS,
                        Length::Time(all) => start.elapsed() < all,
                    } {
                        calls += 1;
                        let key = random.usize(..KEYS);
                        let stay = self.patience.mul_f64(random.f64() / 8.0);
                        let mut request = pool.lock(format!("storm:{key}"));
                        if self.modes {
                            request = in_its_mode(request, key, &mut random);
                        }
                        let (sections, counts) = (&sections, &counts);
                        let call = request.run(|lease| async move {
                            let _inside = Inside::enter(&sections.0[key], lease.mode());
                            counts.0.fetch_add(1, Ordering::Relaxed);
                            tokio::time::sleep(stay).await;
                        });
                        let leave_after = self.patience.mul_f64(random.f64());
                        if tokio::time::timeout(leave_after, call).await.is_err() {
                            counts.1.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no two holders at a time");
        }
        Damage {
            entered: counts.0.load(Ordering::Relaxed),
            dropped: counts.1.load(Ordering::Relaxed),
            changes: 0,
            pools,
        }
    }

    /// Lets it rage on a deployment, whose servers stop, hand over and move slots without losing anything,
    /// and checks that it leaves nothing.
    ///
    /// # Panics
    ///
    /// When it leaves something, or the deployment is not whole at its end.
    pub async fn run_on(mut self, deployment: Deployment) -> Damage {
        self.modes &= deployment.has_modes();
        let network = Network::new();
        let mut servers = deployment.start(&network, false);
        servers.replaces_masters(false);
        // Nothing changes before all pools are there.
        let pools = pools(deployment.builder(&servers.url())).await;
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&is_over);
        let changing = thread::spawn(move || {
            let mut random = fastrand::Rng::with_seed(7);
            let mut changes = 0;
            while !ends.load(Ordering::Relaxed) {
                let pause = Duration::from_millis(random.u64(..50));
                change(&mut *servers, deployment, &mut random, pause);
                servers.settle();
                changes += 1;
                thread::sleep(pause);
            }
            (servers, changes)
        });
        let mut damage = self.rage(pools).await;
        is_over.store(true, Ordering::Relaxed);
        let (servers, changes) = changing.join().expect("the deployment is whole");
        damage.changes = changes;
        damage.expect_nothing_left(&*servers);
        damage
    }
}

async fn pools(builder: LockPoolBuilder) -> Vec<LockPool> {
    let builder = builder
        .default_ttl(Service::LONG)
        .claim_window(Service::LONG * 3);
    let mut pools = Vec::new();
    for _ in 0..POOLS {
        pools.push(builder.clone().build().await.expect("a pool"));
    }
    pools
}

fn change(
    servers: &mut dyn Deployed,
    deployment: Deployment,
    random: &mut fastrand::Rng,
    pause: Duration,
) {
    match random.u8(..4) {
        0 if !servers.replicas().is_empty() => {
            let masters = servers.masters();
            servers.hand_over(masters[random.usize(..masters.len())]);
        }
        1.. if deployment == Deployment::Cluster => servers.move_slot(random, pause),
        _ => {
            let nodes = servers.servers();
            let node = nodes[random.usize(..nodes.len())];
            node.pause();
            thread::sleep(pause);
            node.resume();
        }
    }
}

impl Damage {
    /// Checks that nothing but tombstones and fences is left, and that every lease was given back.
    ///
    /// # Panics
    ///
    /// When something is left.
    pub fn expect_nothing_left(&self, servers: &dyn Deployed) {
        eventually("every lock is released", || {
            servers.names_for(Purpose::Lock).is_empty()
        });
        let mut rest = servers.names();
        rest.retain(|name| name.purpose != Purpose::Fence);
        for name in &rest {
            let is_tombstone = name.purpose == Purpose::Tombstone;
            assert!(is_tombstone, "not a tombstone: {name:?} of {rest:?}");
            assert!(servers.ends(name), "{name:?} has no end");
        }
        let stats: Vec<_> = self.pools.iter().map(LockPool::stats).collect();
        let all_released = stats
            .iter()
            .all(|it| it.release_abandoned == 0 && it.lost == 0);
        assert!(all_released, "{stats:?}");
        assert!(stats.iter().any(|it| it.passed_on > 0), "{stats:?}");
    }
}
