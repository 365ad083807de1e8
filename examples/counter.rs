//! Many processes increment one counter in a file: read, add, write.
//!
//! Look at the two totals: without the lock increments are lost, with it none is. With
//! `LOCKATTR_URL` the workers are processes; the memory backend knows only one process, so without
//! it they are threads.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs, thread};

use lockattr::distributed_lock;

const WORKERS: u64 = 4;
const INCREMENTS: u64 = 25;

fn read(file: &Path) -> anyhow::Result<u64> {
    Ok(fs::read_to_string(file)?.trim().parse()?)
}

async fn increment(file: &Path) -> anyhow::Result<()> {
    let count = read(file)?;
    tokio::time::sleep(Duration::from_micros(500)).await;
    Ok(fs::write(file, (count + 1).to_string())?)
}

#[distributed_lock(key("counter:{name}", name = file.display()), wait = "60s")]
async fn increment_locked(file: &Path) -> anyhow::Result<()> {
    increment(file).await
}

async fn work(file: &Path, locked: bool) -> anyhow::Result<()> {
    for _ in 0..INCREMENTS {
        if locked {
            increment_locked(file).await?;
        } else {
            // Somebody may be writing just now: then this one reads nothing, and gives up.
            drop(increment(file).await);
        }
    }
    Ok(())
}

/// Runs the workers, each in a runtime of its own, and gives the total.
fn count(file: &Path, locked: bool) -> anyhow::Result<u64> {
    fs::write(file, "0")?;
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| spawn(file.to_owned(), locked))
        .collect();
    for worker in workers {
        worker.join().expect("a worker panicked")?;
    }
    read(file)
}

fn spawn(file: PathBuf, locked: bool) -> thread::JoinHandle<anyhow::Result<()>> {
    thread::spawn(move || {
        if examples::has_server() {
            let status = Command::new(env::current_exe()?)
                .arg(file)
                .arg(locked.to_string())
                .status()?;
            anyhow::ensure!(status.success(), "a worker failed");
            return Ok(());
        }
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(work(&file, locked))
    })
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let args: Vec<String> = env::args().collect();
    if let [_, file, locked] = args.as_slice() {
        runtime.block_on(lockattr::LockPool::from_env()?.install())?;
        return runtime.block_on(work(Path::new(file), locked == "true"));
    }
    runtime.block_on(examples::install())?;
    let kind = if examples::has_server() {
        "processes"
    } else {
        "threads"
    };
    println!("{WORKERS} {kind}, {INCREMENTS} increments each");

    let file = env::temp_dir().join(format!("lockattr-counter-{}", std::process::id()));
    let expected = WORKERS * INCREMENTS;
    println!("without the lock: {:3} of {expected}", count(&file, false)?);
    let total = count(&file, true)?;
    println!("with the lock:    {total:3} of {expected}");
    fs::remove_file(&file)?;
    assert_eq!(total, expected);
    Ok(())
}
