//! The cost of the attribute compared with the same call written by hand, and the size of its
//! future.
//!
//! Nested calls of one key send no message to the I/O thread, so the rest is the work for key, pool
//! and task: the attribute's part.

use std::time::{Duration, Instant};

use lockattr::{Error, LockPool, distributed_lock};

use crate::rounds::{Effort, interleave, median};

const CALLS: u32 = 200_000;

#[distributed_lock(key = "order:{order_id}", ttl = "10s", reentrant = true)]
async fn annotated(order_id: u64) -> Result<u64, Error> {
    Ok(order_id)
}

async fn by_hand(pool: &LockPool, order_id: u64) -> Result<u64, Error> {
    pool.lock(format!("order:{order_id}"))
        .ttl(Duration::from_secs(10))
        .reentrant(true)
        .run(move |_| async move { Ok::<_, Error>(order_id) })
        .await?
}

async fn plain_with_a_large_local(n: usize) -> Result<u8, Error> {
    let local = [1_u8; 4096];
    tokio::task::yield_now().await;
    Ok(local[n])
}

#[distributed_lock(key = "large:{n}")]
async fn annotated_with_a_large_local(n: usize) -> Result<u8, Error> {
    let local = [1_u8; 4096];
    tokio::task::yield_now().await;
    Ok(local[n])
}

pub(crate) async fn run(effort: Effort) {
    let pool = LockPool::memory().await.expect("memory is there");
    let all = interleave(effort, &[false, true], async |is_annotated| {
        let start = Instant::now();
        if is_annotated {
            nested_annotated(pool.clone()).await;
        } else {
            nested_by_hand(pool.clone()).await;
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
    })
    .await;
    println!("\none call inside its own lock, ns (median of interleaved rounds)");
    let [by_hand, annotated] = [0, 1].map(|n| median(&all[n].1, |nanos| *nanos));
    println!(
        "by hand {by_hand:.0}  annotated {annotated:.0}  ratio {:.2}",
        annotated / by_hand
    );

    let (plain, annotated) = (plain_with_a_large_local(0), annotated_with_a_large_local(0));
    println!(
        "\nsize of the future with a local of 4096 bytes: plain {}, annotated {}",
        size_of_val(&plain),
        size_of_val(&annotated)
    );
}

async fn nested_by_hand(pool: LockPool) {
    let body = |_| async {
        for _ in 0..CALLS {
            by_hand(&pool, 42).await.expect("it is held");
        }
    };
    pool.lock("order:42")
        .run(body)
        .await
        .expect("memory is there");
}

async fn nested_annotated(pool: LockPool) {
    let body = |_| async {
        for _ in 0..CALLS {
            annotated(42).await.expect("it is held");
        }
    };
    let all = pool.lock("order:42").run(body);
    pool.scope(all).await.expect("memory is there");
}
