//! W8: the server's cost of a pair, by the number of simultaneous requests.

use std::sync::Arc;

use lockattr_tests::RedisServer;
use tokio::sync::Barrier;

use crate::candidate::{Candidate, Locker};
use crate::report::Report;
use crate::rounds::{Effort, interleave, median};
use crate::server_stats::{ServerWork, server_work};

const AT_ONCE: [usize; 3] = [1, 8, 64];
const CANDIDATES: [Candidate; 3] = [Candidate::ByHand, Candidate::Lockattr, Candidate::Rslock];

pub(crate) async fn run(effort: Effort, report: &mut Report) {
    let server = RedisServer::start();
    for tasks in AT_ONCE {
        let name = format!("W8 {tasks} at once");
        let all = interleave(effort, &CANDIDATES, async |candidate| {
            let locker = candidate.connect(&server.admin_url()).await;
            // Warms up: the server learns the scripts and allocates memory.
            all_at_once(&locker, tasks, 20).await;
            let rounds = pairs(effort) / tasks;
            let before = server_work(&server, candidate);
            all_at_once(&locker, tasks, rounds).await;
            server_work(&server, candidate).since(&before, rounds * tasks)
        })
        .await;
        for (candidate, rounds) in all {
            let mut add = |what, figure: fn(&ServerWork) -> f64| {
                report.add(&name, candidate, what, median(&rounds, figure));
            };
            add("command µs/pair", |work| work.in_commands);
            add("server CPU µs/pair", |work| work.cpu);
            add("commands/pair", |work| work.commands);
        }
    }
}

pub(crate) fn pairs(effort: Effort) -> usize {
    if effort.is_quick { 4096 } else { 64 * 1024 }
}

/// Lets all tasks acquire a key of their own at the same time, and release it at the same time.
pub(crate) async fn all_at_once(locker: &Locker, tasks: usize, rounds: usize) {
    let barrier = Arc::new(Barrier::new(tasks));
    let running: Vec<_> = (0..tasks)
        .map(|task| {
            let (locker, barrier) = (locker.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                let key = format!("own:{task}");
                for _ in 0..rounds {
                    let held = async || {
                        barrier.wait().await;
                    };
                    locker.hold(&key, held).await;
                    barrier.wait().await;
                }
            })
        })
        .collect();
    for task in running {
        task.await.expect("a benchmark does not panic");
    }
}
