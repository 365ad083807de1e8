//! One of several candidates leads. When it ends, another one takes over, under a greater epoch.
//!
//! The candidates are tasks here, and would be processes in a fleet.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lockattr::{Error, Leadership};

/// How many lead at present, as seen from outside of the lock.
static LEADERS: AtomicU32 = AtomicU32::new(0);

async fn candidate(name: &str) -> Result<u64, Error> {
    let election = lockattr::lead("scheduler").ttl(Duration::from_secs(10));
    election.run(|leadership| work(name, leadership)).await
}

async fn work(name: &str, leadership: Leadership) -> u64 {
    assert_eq!(LEADERS.fetch_add(1, Ordering::SeqCst), 0, "two leaders");
    println!("{name} leads in epoch {}", leadership.epoch());
    tokio::time::sleep(Duration::from_millis(100)).await;
    LEADERS.fetch_sub(1, Ordering::SeqCst);
    // A body that returns resigns. A leader that loses its lease is stopped, and is a candidate again.
    leadership.epoch()
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    examples::install().await?;
    let (one, two, three) = tokio::try_join!(
        candidate("the first"),
        candidate("the second"),
        candidate("the third")
    )?;
    let mut epochs = [one, two, three];
    epochs.sort_unstable();
    anyhow::ensure!(epochs[0] < epochs[1] && epochs[1] < epochs[2], "{epochs:?}");
    println!("each has led, one after the other");
    Ok(())
}
