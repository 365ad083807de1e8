//! Eight workers want one lock all the time. How many turns does each get?
//!
//! Look at the columns: turns should be about equal, and no worker should wait much longer than all
//! the others together take. Within a process the queue is strictly first come, first served.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lockattr::distributed_lock;

const WORKERS: usize = 8;

#[derive(Default)]
struct Share {
    turns: u32,
    longest_wait: Duration,
}

#[distributed_lock(key = "machine", ttl = "10s", wait = "30s")]
async fn use_machine() -> Result<(), lockattr::Error> {
    tokio::time::sleep(Duration::from_millis(1)).await;
    Ok(())
}

async fn worker(ends: Arc<AtomicBool>) -> Result<Share, lockattr::Error> {
    let mut share = Share::default();
    while !ends.load(Ordering::Relaxed) {
        let asked = Instant::now();
        use_machine().await?;
        share.longest_wait = share.longest_wait.max(asked.elapsed());
        share.turns += 1;
    }
    Ok(share)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    examples::install().await?;
    let ends = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| tokio::spawn(worker(Arc::clone(&ends))))
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    ends.store(true, Ordering::Relaxed);

    println!("worker  turns  longest wait");
    let (mut fewest, mut most) = (u32::MAX, 0);
    for (number, worker) in workers.into_iter().enumerate() {
        let Share {
            turns,
            longest_wait,
        } = worker.await??;
        println!(
            "{number:6}  {turns:5}  {:9.1} ms",
            longest_wait.as_secs_f64() * 1000.0
        );
        (fewest, most) = (fewest.min(turns), most.max(turns));
    }
    println!(
        "fewest / most turns: {:.2}",
        f64::from(fewest) / f64::from(most)
    );
    assert!(most - fewest <= 1, "first come, first served");
    Ok(())
}
