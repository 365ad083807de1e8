//! At most one call per order runs at a time; different orders do not wait for each other.
//!
//! Look at the times: the two payments of order 1 run one after the other; the payment of order 2
//! runs beside the first.

use std::time::{Duration, Instant};

use lockattr::distributed_lock;

#[distributed_lock(key = "order:{order_id}", ttl = "10s", wait = "2s")]
async fn pay(order_id: u64, start: Instant) -> Result<(Duration, Duration), lockattr::Error> {
    let entered = start.elapsed();
    println!("{:4} ms  order {order_id}: paying", entered.as_millis());
    tokio::time::sleep(Duration::from_millis(100)).await;
    let left = start.elapsed();
    println!("{:4} ms  order {order_id}: paid", left.as_millis());
    Ok((entered, left))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    examples::install().await?;
    let start = Instant::now();
    let (first, second, other) = tokio::join!(pay(1, start), pay(1, start), pay(2, start));
    let (first, second, other) = (first?, second?, other?);
    assert!(
        first.1 <= second.0 || second.1 <= first.0,
        "two payments of one order overlapped"
    );
    assert!(other.0 < first.1.max(second.1), "another order had to wait");
    Ok(())
}
