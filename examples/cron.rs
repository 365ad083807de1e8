//! A cron job that every process of a fleet starts at each tick, and that runs once for each tick.
//!
//! Look at the table: all processes start the job, one runs it. It is over in no time, so `min_hold` keeps its
//! lock: the others come a little later, because their clocks differ and their schedulers look at them only
//! now and then. `min_hold` has to be longer than that.
//!
//! The tick is in the key, so `min_hold` may be as long as one likes, also longer than the time between two
//! ticks. With `key = "nightly-report"` it has to be shorter than that time, or the next tick is skipped.
//!
//! A lock does not remember: a process that starts a tick later than `min_hold` runs it again. If that matters,
//! let the job write the tick where its result goes, in the same transaction.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context as _;
use lockattr::{Error, LockPool, distributed_lock};
use tokio::sync::{RwLock, mpsc};
use tokio_cron_scheduler::{Job, JobScheduler};

const PROCESSES: usize = 3;
const TICKS: usize = 2;
/// Each second. A nightly job would have `0 0 2 * * *`, and the day as its tick.
const SCHEDULE: &str = "* * * * * *";

/// Returns whether it ran. The others find it busy, and get `Ok(false)`, the default value.
#[distributed_lock(
    key = "nightly-report:{tick}",
    ttl = "10s",
    min_hold = "4s",
    on_busy = "skip"
)]
async fn write_report(tick: u64) -> Result<bool, Error> {
    Ok(true)
}

/// The second of this start: all starts of a tick have the same, whatever process they are in.
fn tick() -> u64 {
    let now = UNIX_EPOCH.elapsed().expect("the clock is set");
    now.as_secs()
}

/// What a process says of a tick that it has started: the tick, the process, and whether it ran.
type Report = (u64, usize, Result<bool, Error>);

/// A process of the fleet: its own connection to the lock service, and its own scheduler.
struct Process {
    locks: LockPool,
    scheduler: JobScheduler,
}

impl Process {
    /// Starts the job at each tick, while `open` says so.
    async fn start(
        number: usize,
        open: Arc<RwLock<bool>>,
        reports: mpsc::UnboundedSender<Report>,
    ) -> anyhow::Result<Self> {
        let locks = examples::other_process().await?;
        let scheduler = JobScheduler::new().await?;
        let pool = locks.clone();
        let job = Job::new_async(SCHEDULE, move |_, _| {
            let (locks, open, reports) = (pool.clone(), Arc::clone(&open), reports.clone());
            Box::pin(async move {
                let open = open.read().await;
                if *open {
                    let tick = tick();
                    let ran = locks.scope(write_report(tick)).await;
                    let _ = reports.send((tick, number, ran));
                }
            })
        })?;
        scheduler.add(job).await?;
        scheduler.start().await?;
        Ok(Self { locks, scheduler })
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let pool = examples::install().await?;
    let open = Arc::new(RwLock::new(true));
    let (sender, mut reports) = mpsc::unbounded_channel();
    let mut processes = Vec::new();
    for number in 0..PROCESSES {
        processes.push(Process::start(number, Arc::clone(&open), sender.clone()).await?);
    }

    // For each tick, the processes that have started it, and how often each has run it.
    let mut ticks: BTreeMap<u64, BTreeMap<usize, u32>> = BTreeMap::new();
    let mut count = |(tick, process, ran): Report| {
        let starts = ticks.entry(tick).or_default();
        *starts.entry(process).or_default() += u32::from(ran?);
        let by_all = ticks.values().filter(|it| it.len() == PROCESSES).count();
        anyhow::Ok(by_all)
    };
    while count(reports.recv().await.context("the schedulers are gone")?)? < TICKS {}

    // A scheduler does not wait for its jobs. This does: they hold the other side of `open`.
    *open.write().await = false;
    while let Ok(report) = reports.try_recv() {
        count(report)?;
    }
    for process in &mut processes {
        process.scheduler.shutdown().await?;
        process.locks.shutdown(Duration::from_secs(5)).await?;
    }

    println!("tick        started by  ran");
    for (tick, starts) in &ticks {
        let runs: u32 = starts.values().sum();
        println!("{tick}  {:10}  {runs:3}", starts.len());
        anyhow::ensure!(runs == 1, "tick {tick} ran {runs} times: {starts:?}");
    }

    for tick in ticks.keys() {
        let lock = pool.lock(lockattr::key!("nightly-report:{tick}"));
        let guard = lock.wait(Duration::from_secs(60)).acquire().await?;
        guard.release().await;
    }
    println!("every min_hold is over, and all locks are free");
    pool.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}
