//! Many processes increment one counter in a file: read, add, write.
//!
//! Look at the two totals: without the lock increments are lost; with the lock none is. With
//! `LOCKATTR_URL` the workers are processes. Without it they are tasks, because the memory backend
//! locks within one process only.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use std::{env, process};

use examples::processes::{finish, start, wait_for_parent};
use lockattr::{LockPool, distributed_lock};
use tokio::task::JoinSet;

const WORKERS: usize = 4;
const INCREMENTS: usize = 25;

fn read(file: &Path) -> anyhow::Result<usize> {
    Ok(fs::read_to_string(file)?.parse()?)
}

/// Overwrites in place and at full width, so that a reader without the lock sees the old number or
/// the new one, never a mix of both.
fn write(file: &Path, count: usize) -> anyhow::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(file)?;
    Ok(file.write_all(format!("{count:08}").as_bytes())?)
}

async fn increment(file: &Path) -> anyhow::Result<()> {
    let count = read(file)?;
    tokio::time::sleep(Duration::from_micros(500)).await;
    write(file, count + 1)
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
            increment(file).await?;
        }
    }
    Ok(())
}

/// Starts all workers on the file, and returns the total.
async fn count(file: &Path, locked: bool) -> anyhow::Result<usize> {
    write(file, 0)?;
    if examples::has_server() {
        let name = file.to_str().expect("the name is ours");
        finish(start(WORKERS, &[name, &locked.to_string()], &[])?)?;
    } else {
        let mut tasks = JoinSet::new();
        for _ in 0..WORKERS {
            let file = file.to_owned();
            tasks.spawn(async move { work(&file, locked).await });
        }
        while let Some(worker) = tasks.join_next().await {
            worker??;
        }
    }
    read(file)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = env::args().collect();
    if let [_, file, locked] = args.as_slice() {
        LockPool::from_env()?.install().await?;
        wait_for_parent()?;
        return work(Path::new(file), locked.parse()?).await;
    }

    examples::install().await?;
    let kind = if examples::has_server() {
        "processes"
    } else {
        "tasks of one process"
    };
    println!("{WORKERS} {kind}, {INCREMENTS} increments each");

    let file = env::temp_dir().join(format!("lockattr-counter-{}", process::id()));
    let expected = WORKERS * INCREMENTS;
    let unlocked = count(&file, false).await?;
    println!("without the lock: {unlocked:3} of {expected}");
    let locked = count(&file, true).await?;
    println!("with the lock:    {locked:3} of {expected}");
    fs::remove_file(&file)?;
    anyhow::ensure!(locked == expected, "increments were lost under the lock");
    Ok(())
}
