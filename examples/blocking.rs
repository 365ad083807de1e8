//! Threads without a runtime: the attribute on a plain function, and a lock taken by hand.
//!
//! Look at the times: the threads build the report of day 1 one after the other, that of day 2 beside it.

use std::thread;
use std::time::{Duration, Instant};

use lockattr::{Error, LockPool, distributed_lock};

#[distributed_lock(key = "report:{day}", ttl = "10s", wait = "5s")]
fn build(day: u32, start: Instant) -> Result<(Duration, Duration), Error> {
    let entered = start.elapsed();
    println!("{:4} ms  day {day}: building", entered.as_millis());
    thread::sleep(Duration::from_millis(100));
    let left = start.elapsed();
    println!("{:4} ms  day {day}: built", left.as_millis());
    Ok((entered, left))
}

fn main() -> anyhow::Result<()> {
    let pool = install()?;
    let start = Instant::now();
    let threads = [1, 1, 2].map(|day| thread::spawn(move || build(day, start)));
    let mut built = Vec::new();
    for thread in threads {
        built.push(thread.join().expect("it does not panic")?);
    }
    let (first, second, other) = (built[0], built[1], built[2]);
    assert!(
        first.1 <= second.0 || second.1 <= first.0,
        "two reports of one day overlapped"
    );
    assert!(other.0 < first.1.max(second.1), "another day had to wait");

    let token = pool
        .lock("cleanup")
        .run_blocking(|lease| lease.fencing_token())?;
    println!("cleaned up under token {token}");
    pool.shutdown_blocking(Duration::from_secs(5))?;
    Ok(())
}

fn install() -> Result<LockPool, Error> {
    examples::trace();
    let builder = if examples::has_server() {
        LockPool::from_env()?
    } else {
        println!("LOCKATTR_URL is not set: locks in the memory of this process");
        LockPool::builder().url("memory://")
    };
    builder.install_blocking()
}
