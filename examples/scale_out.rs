//! One function, on a server or on a cluster of any size: only `LOCKATTR_URL` differs.
//!
//! Look at the last line: no change is lost, although 64 tasks change 200 orders at the same time. With
//! `LOCKATTR_URL=redis+cluster://host1,host2,host3` the locks of the orders are spread over the masters, so
//! each master has a third of the work. With all servers on one machine nothing gets faster by that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use lockattr::distributed_lock;
use tokio::task::JoinSet;

const ORDERS: usize = 200;
const TASKS: usize = 64;
const CHANGES: usize = 50;

/// The number of items of each order.
type Orders = Vec<AtomicU32>;

#[distributed_lock(key = "order:{order}", ttl = "10s", wait = "60s")]
async fn add_item(orders: &Orders, order: usize) -> anyhow::Result<()> {
    add(orders, order).await;
    Ok(())
}

/// Like a shop that reads the order and writes it back later.
async fn add(orders: &Orders, order: usize) {
    let items = orders[order].load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1)).await;
    orders[order].store(items + 1, Ordering::SeqCst);
}

/// Lets all tasks add items to random orders, and returns the total at the end.
async fn shop(locked: bool) -> anyhow::Result<usize> {
    let orders: Arc<Orders> = Arc::new((0..ORDERS).map(|_| AtomicU32::new(0)).collect());
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let orders = Arc::clone(&orders);
        tasks.spawn(async move {
            for _ in 0..CHANGES {
                let order = fastrand::usize(..ORDERS);
                if locked {
                    add_item(&orders, order).await?;
                } else {
                    add(&orders, order).await;
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    let items = orders.iter().map(|items| items.load(Ordering::SeqCst));
    Ok(items.sum::<u32>().try_into()?)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    examples::install().await?;
    let expected = TASKS * CHANGES;
    let unlocked = shop(false).await?;
    println!("without the lock: {unlocked} of {expected} items");
    let start = Instant::now();
    let locked = shop(true).await?;
    let took = start.elapsed();
    println!("with the lock:    {locked} of {expected} items, {expected} calls in {took:.0?}");
    anyhow::ensure!(locked == expected, "changes were lost under the lock");
    Ok(())
}
