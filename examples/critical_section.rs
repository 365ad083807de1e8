//! One section, many tasks: never two inside, and each with a larger fencing token.
//!
//! Look at the token column: it only grows. The last lines show calls that do not wait.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lockattr::distributed_lock;

static INSIDE: AtomicU32 = AtomicU32::new(0);
static LAST_TOKEN: Mutex<u64> = Mutex::new(0);

#[distributed_lock(key = "section", ttl = "5s", wait = "30s", bind = lease)]
async fn section(task: u32) -> Result<(), lockattr::Error> {
    assert_eq!(INSIDE.fetch_add(1, Ordering::SeqCst), 0, "two inside");
    write(task);
    assert!(lease.is_valid());
    tokio::time::sleep(Duration::from_millis(10)).await;
    INSIDE.fetch_sub(1, Ordering::SeqCst);
    Ok(())
}

/// Code deep inside: it gets the lease from the task, and asserts that there is one.
fn write(task: u32) {
    lockattr::assert_held!("section");
    let token = lockattr::current().map_or(0, |lease| lease.fencing_token());
    let mut last = LAST_TOKEN.lock().expect("nobody panics here");
    assert!(token > *last, "what a fenced store would refuse");
    *last = token;
    println!("task {task:2} inside, token {token}");
}

#[distributed_lock(key = "section", wait = "0s")]
async fn do_not_wait() -> Result<(), lockattr::Error> {
    Ok(())
}

#[distributed_lock(key = "section", wait = "0s", on_busy = "skip")]
async fn skip() -> Result<Option<&'static str>, lockattr::Error> {
    Ok(Some("ran"))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let pool = examples::install().await?;
    let tasks: Vec<_> = (0..10).map(|task| tokio::spawn(section(task))).collect();
    for task in tasks {
        task.await??;
    }

    let guard = pool.lock("section").acquire().await?;
    let busy = do_not_wait().await.expect_err("the guard holds it");
    assert!(busy.is_busy(), "{busy}");
    println!("wait = \"0s\": {busy}");
    let skipped = skip().await?;
    assert_eq!(skipped, None, "the guard holds it");
    println!("on_busy = \"skip\": {skipped:?}");
    guard.release().await;
    let ran = skip().await?;
    assert_eq!(ran, Some("ran"), "the guard is gone");
    println!("free again: {ran:?}");
    Ok(())
}
