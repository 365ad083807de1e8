//! W5: the cost of many waiters.

use std::time::Duration;

use lockattr_tests::RedisServer;

use crate::candidate::Candidate;
use crate::report::Report;
use crate::rounds::Effort;
use crate::server_stats::{commands_sent, cpu_seconds, resident_bytes};

pub(crate) async fn run(effort: Effort, report: &mut Report) {
    let time = Duration::from_secs(if effort.is_quick { 3 } else { 5 });
    let workloads = [
        (Candidate::Lockattr, &[10, 1000, 10_000][..]),
        (Candidate::ByHand, &[1000]),
        (Candidate::Rslock, &[1000]),
        (Candidate::AsyncRedisLock, &[1000]),
    ];
    for (candidate, waiters) in workloads {
        for waiters in waiters {
            let name = format!("W5 {waiters} waiters");
            let (commands, cpu, size) = wait(candidate, *waiters, time).await;
            report.add(&name, candidate, "commands/s", commands);
            report.add(&name, candidate, "client CPU %", cpu * 100.0);
            report.add(&name, candidate, "bytes/waiter", size);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
async fn wait(candidate: Candidate, waiters: usize, time: Duration) -> (f64, f64, f64) {
    let server = RedisServer::start();
    let holder = candidate.connect(&server.admin_url()).await;
    let locker = candidate.connect(&server.admin_url()).await;
    holder
        .hold("hot", async || {
            let size = resident_bytes();
            let tasks: Vec<_> = (0..waiters)
                .map(|_| {
                    let locker = locker.clone();
                    tokio::spawn(async move { locker.hold("hot", async || {}).await })
                })
                .collect();
            // Until every waiter has asked for the first time.
            tokio::time::sleep(Duration::from_millis(500)).await;
            // Includes the task and the future of the benchmark.
            let size = (resident_bytes() - size) / waiters as f64;
            let (commands, cpu) = (commands_sent(&server, candidate), cpu_seconds());
            tokio::time::sleep(time).await;
            let commands = commands_sent(&server, candidate) - commands;
            let cpu = cpu_seconds() - cpu;
            for task in tasks {
                task.abort();
            }
            (
                commands as f64 / time.as_secs_f64(),
                cpu / time.as_secs_f64(),
                size,
            )
        })
        .await
}
