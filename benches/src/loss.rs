//! How soon a body ends after its lease: from the end of the validity to the drop.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use lockattr::{LockPool, Wait};
use lockattr_tests::RedisServer;

use crate::candidate::Candidate;
use crate::report::Report;
use crate::rounds::{Effort, percentile};

const TTL: Duration = Duration::from_millis(200);
const TASKS: usize = 16;

pub(crate) async fn run(effort: Effort, report: &mut Report) {
    let rounds = if effort.is_quick { 20 } else { 100 };
    for busy_threads in [0, 8] {
        let late = starved_by(busy_threads, rounds).await;
        let name = format!("Loss, {busy_threads} busy threads");
        for (what, percent) in [("p50 ms", 50), ("p99 ms", 99), ("latest ms", 100)] {
            let value = percentile(late.clone(), percent);
            report.add(&name, Candidate::Lockattr, what, value);
        }
    }
}

async fn starved_by(busy_threads: usize, rounds: usize) -> Vec<f64> {
    let over = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..busy_threads)
        .map(|_| {
            let over = Arc::clone(&over);
            thread::spawn(move || while !over.load(Ordering::Relaxed) {})
        })
        .collect();
    let late = lose(rounds).await;
    over.store(true, Ordering::Relaxed);
    for busy in busy {
        busy.join().expect("it only spins");
    }
    late
}

/// Returns the delays in milliseconds, for leases that are not renewed and bodies that never end.
async fn lose(rounds: usize) -> Vec<f64> {
    let server = RedisServer::start();
    let pool = LockPool::builder().url(server.admin_url()).default_ttl(TTL);
    let pool = pool.default_wait(Wait::Forever).build().await;
    let pool = pool.expect("the server is there");
    let late = Arc::new(Mutex::new(Vec::new()));
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (pool, late) = (pool.clone(), Arc::clone(&late));
            tokio::spawn(async move {
                for _ in 0..rounds {
                    let request = pool.lock(format!("lost:{task}")).renew(false);
                    let lost = request.run(|lease| {
                        let end = End {
                            due: Instant::now() + lease.remaining(),
                            late: Arc::clone(&late),
                        };
                        async move {
                            let _end = end;
                            pending::<()>().await;
                        }
                    });
                    assert!(lost.await.is_err_and(|error| error.is_lost()));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    std::mem::take(&mut late.lock().expect("no panic"))
}

/// Records the time when it is dropped.
struct End {
    due: Instant,
    late: Arc<Mutex<Vec<f64>>>,
}

impl Drop for End {
    fn drop(&mut self) {
        let late = Instant::now().saturating_duration_since(self.due);
        self.late
            .lock()
            .expect("no panic")
            .push(late.as_secs_f64() * 1e3);
    }
}
