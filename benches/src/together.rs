//! W9: readers and writers, and permits: several tasks have one key at the same time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use distributed_lock_core::traits::{
    DistributedReaderWriterLock as _, DistributedSemaphore as _, LockHandle as _,
    ReaderWriterLockProvider as _, SemaphoreProvider as _,
};
use distributed_lock_redis::RedisLockProvider;
use lockattr::LockPool;
use lockattr_tests::RedisServer;
use tokio::sync::{RwLock, Semaphore};

use crate::hot_key::fairness;
use crate::report::Report;
use crate::rounds::{Effort, interleave, median};

const TASKS: usize = 64;
const PERMITS: u32 = 8;
/// Of a hundred pairs.
const SHARED: u8 = 95;
/// The peer has no queue: under load its writers would never come.
const WAIT: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy)]
enum Candidate {
    Lockattr,
    DistributedLock,
    /// The floor inside one process.
    Tokio,
}

const CANDIDATES: [Candidate; 3] = [
    Candidate::Lockattr,
    Candidate::DistributedLock,
    Candidate::Tokio,
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Use {
    Readers,
    Permits,
}

impl Use {
    fn name(self) -> &'static str {
        match self {
            Self::Readers => "W9 95 % readers",
            Self::Permits => "W9 8 permits",
        }
    }
}

impl Candidate {
    fn name(self, of: Use) -> &'static str {
        match (self, of) {
            (Self::Lockattr, _) => "lockattr",
            (Self::DistributedLock, _) => "distributed-lock-redis",
            (Self::Tokio, Use::Readers) => "tokio::sync::RwLock",
            (Self::Tokio, Use::Permits) => "tokio::sync::Semaphore",
        }
    }

    async fn connect(self, url: &str) -> Locker {
        match self {
            Self::Lockattr => {
                let pool = LockPool::builder().url(url).default_wait(WAIT);
                Locker::Lockattr(pool.build().await.expect("the server is there"))
            }
            Self::DistributedLock => {
                let provider = RedisLockProvider::new(url).await;
                Locker::DistributedLock(Arc::new(provider.expect("the server is there")))
            }
            Self::Tokio => Locker::Tokio(Arc::new((
                RwLock::new(()),
                Semaphore::new(PERMITS as usize),
            ))),
        }
    }
}

#[derive(Clone)]
enum Locker {
    Lockattr(LockPool),
    DistributedLock(Arc<RedisLockProvider>),
    Tokio(Arc<(RwLock<()>, Semaphore)>),
}

impl Locker {
    /// Returns how long it took to get in; `None` if that took too long.
    async fn hold(&self, of: Use, writes: bool) -> Option<Duration> {
        const KEY: &str = "together";
        let asked = Instant::now();
        let inside = async || {
            let waited = asked.elapsed();
            tokio::task::yield_now().await;
            Some(waited)
        };
        match (self, of) {
            (Self::Lockattr(pool), _) => {
                let request = pool.lock(format!("{KEY}:{of:?}"));
                let request = match of {
                    Use::Permits => request.permits(PERMITS),
                    Use::Readers if writes => request,
                    Use::Readers => request.shared(),
                };
                let guard = request.acquire().await.ok()?;
                let waited = inside().await;
                guard.release().await;
                waited
            }
            (Self::DistributedLock(provider), Use::Permits) => {
                let semaphore = provider.create_semaphore(KEY, PERMITS);
                let permit = semaphore.acquire(Some(WAIT)).await.ok()?;
                let waited = inside().await;
                permit.release().await.expect("the server is there");
                waited
            }
            (Self::DistributedLock(provider), Use::Readers) => {
                let lock = provider.create_reader_writer_lock(KEY);
                if writes {
                    let guard = lock.acquire_write(Some(WAIT)).await.ok()?;
                    let waited = inside().await;
                    guard.release().await.expect("the server is there");
                    return waited;
                }
                let guard = lock.acquire_read(Some(WAIT)).await.ok()?;
                let waited = inside().await;
                guard.release().await.expect("the server is there");
                waited
            }
            (Self::Tokio(both), Use::Permits) => {
                let _permit = both.1.acquire().await.expect("it is open");
                inside().await
            }
            (Self::Tokio(both), Use::Readers) if writes => {
                let _guard = both.0.write().await;
                inside().await
            }
            (Self::Tokio(both), Use::Readers) => {
                let _guard = both.0.read().await;
                inside().await
            }
        }
    }
}

pub(crate) async fn run(effort: Effort, report: &mut Report) {
    let server = RedisServer::start();
    for of in [Use::Readers, Use::Permits] {
        let all = interleave(effort, &CANDIDATES, async |candidate| {
            let locker = candidate.connect(&server.admin_url()).await;
            many_tasks(&locker, of, effort.run).await
        })
        .await;
        for (candidate, rounds) in all {
            let mut add = |what, figure: fn(&Figures) -> f64| {
                let value = median(&rounds, figure);
                report.add(of.name(), candidate.name(of), what, value);
            };
            add("pairs/s", |it| it.rate);
            add("min/max", |it| it.fairness);
            add("longest wait ms", |it| it.longest);
            add("refused", |it| it.refused);
            if of == Use::Readers {
                add("longest write ms", |it| it.longest_write);
            }
        }
    }
}

struct Figures {
    rate: f64,
    fairness: f64,
    longest: f64,
    longest_write: f64,
    refused: f64,
}

async fn many_tasks(locker: &Locker, of: Use, time: Duration) -> Figures {
    let start = Instant::now();
    let running: Vec<_> = (0..TASKS as u64)
        .map(|task| {
            let locker = locker.clone();
            let mut random = fastrand::Rng::with_seed(task);
            tokio::spawn(async move {
                let (mut pairs, mut refused) = (0_u32, 0_u32);
                let (mut longest, mut longest_write) = (Duration::ZERO, Duration::ZERO);
                while start.elapsed() < time {
                    let writes = random.u8(..100) >= SHARED;
                    let Some(waited) = locker.hold(of, writes).await else {
                        refused += 1;
                        continue;
                    };
                    longest = longest.max(waited);
                    if writes {
                        longest_write = longest_write.max(waited);
                    }
                    pairs += 1;
                }
                (pairs, refused, longest, longest_write)
            })
        })
        .collect();
    let (mut counts, mut refused) = (Vec::new(), 0);
    let (mut longest, mut longest_write) = (Duration::ZERO, Duration::ZERO);
    for task in running {
        let (pairs, none, waited, to_write) = task.await.expect("a benchmark does not panic");
        counts.push(pairs);
        refused += none;
        longest = longest.max(waited);
        longest_write = longest_write.max(to_write);
    }
    let pairs: u32 = counts.iter().sum();
    Figures {
        rate: f64::from(pairs) / start.elapsed().as_secs_f64(),
        fairness: fairness(&counts),
        longest: longest.as_secs_f64() * 1e3,
        longest_write: longest_write.as_secs_f64() * 1e3,
        refused: refused.into(),
    }
}
