//! What it costs that connections live on a thread of the pool's own: acquire and release through
//! the pool, against the same scripts, and against a plain lock, on the caller's runtime.

use std::time::Duration;

use lockattr::LockPool;
use lockattr_tests::RedisServer;

use crate::by_hand::{Plain, SameScripts};
use crate::rounds::{Comparison, compare, time_per_call};

const PAIRS: u32 = 4_000;

pub(crate) async fn run() {
    let server = RedisServer::start();
    let pool = LockPool::builder()
        .url(server.url())
        .build()
        .await
        .expect("the server is there");
    let same = SameScripts::connect(&server.url())
        .await
        .expect("the server is there");
    let plain = Plain::connect(&server.url())
        .await
        .expect("the server is there");

    println!("\nacquire + release, own keys, loopback, µs a pair (median of interleaved rounds)");
    println!(
        "{:>6}  {:>24}  {:>9}  {:>6}  {:>6}",
        "tasks", "on the caller's runtime", "by hand", "pool", "ratio"
    );
    for tasks in [1, 8, 64] {
        let calls = PAIRS / tasks;
        let ours = || {
            time_per_call(tasks, calls, |task| {
                through_the_pool(pool.clone(), task, calls)
            })
        };
        let against_same = compare(
            || {
                time_per_call(tasks, calls, |task| {
                    let mut same = same.clone();
                    async move {
                        for _ in 0..calls {
                            same.pair(&format!("same:{task}"))
                                .await
                                .expect("the server is there");
                        }
                    }
                })
            },
            ours,
        )
        .await;
        print(tasks, "same scripts", against_same);
        let against_plain = compare(
            || {
                time_per_call(tasks, calls, |task| {
                    let mut plain = plain.clone();
                    async move {
                        for _ in 0..calls {
                            plain
                                .pair(&format!("plain:{task}"))
                                .await
                                .expect("the server is there");
                        }
                    }
                })
            },
            ours,
        )
        .await;
        print(tasks, "SET NX PX + script", against_plain);
    }
}

async fn through_the_pool(pool: LockPool, task: u32, calls: u32) {
    for _ in 0..calls {
        let guard = pool
            .lock(format!("pool:{task}"))
            .acquire()
            .await
            .expect("the server is there");
        guard.release().await;
    }
}

fn print(
    tasks: u32,
    what: &str,
    Comparison {
        baseline,
        ours,
        ratio,
    }: Comparison,
) {
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    println!(
        "{tasks:6}  {what:>24}  {:9.1}  {:6.1}  {ratio:6.2}",
        micros(baseline),
        micros(ours)
    );
}
