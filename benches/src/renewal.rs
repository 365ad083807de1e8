//! W6: the cost of keeping many leases.

use std::time::{Duration, Instant};

use lockattr::{LockPool, Wait};
use lockattr_tests::RedisServer;

use crate::candidate::Candidate;
use crate::report::Report;
use crate::rounds::Effort;
use crate::server_stats::{commands_sent, cpu_seconds};

pub(crate) async fn run(effort: Effort, report: &mut Report) {
    let ttl = Duration::from_secs(if effort.is_quick { 6 } else { 30 });
    let leases: &[usize] = if effort.is_quick {
        &[1000, 10_000]
    } else {
        &[1000, 10_000, 100_000]
    };
    for leases in leases {
        let name = format!("W6 {leases} leases, ttl {ttl:?}");
        let (commands, cpu, late) = keep(*leases, ttl).await;
        report.add(&name, Candidate::Lockattr, "commands/s", commands);
        report.add(&name, Candidate::Lockattr, "client CPU %", cpu * 100.0);
        report.add(&name, Candidate::Lockattr, "latest renewal ms", late * 1e3);
    }
}

/// Measures one ttl. The leases are taken over a third of it, as renewals spread over that time
/// too.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
async fn keep(leases: usize, ttl: Duration) -> (f64, f64, f64) {
    let server = RedisServer::start();
    let pool = LockPool::builder().url(server.admin_url()).default_ttl(ttl);
    let pool = pool.default_wait(Wait::Forever).build().await;
    let pool = pool.expect("the server is there");
    let asking: Vec<_> = (0..leases)
        .map(|n| tokio::spawn(pool.lock(format!("kept:{n}")).acquire()))
        .collect();
    let mut guards = Vec::with_capacity(leases);
    for asking in asking {
        guards.push(asking.await.expect("no panic").expect("a lease"));
    }
    let (start, commands, cpu) = (
        Instant::now(),
        commands_sent(&server, Candidate::Lockattr),
        cpu_seconds(),
    );
    let mut least = ttl;
    while start.elapsed() < ttl {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let remaining = guards.iter().map(|guard| guard.lease().remaining());
        least = least.min(remaining.min().unwrap_or(ttl));
    }
    assert_eq!(pool.stats().lost, 0);
    let commands = commands_sent(&server, Candidate::Lockattr) - commands;
    let (time, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    // A renewal on time leaves two thirds of the ttl, less the allowance for drift.
    let on_time = ttl.as_secs_f64() * (2.0 / 3.0 - 0.01) - 0.002;
    (
        commands as f64 / time,
        cpu / time,
        (on_time - least.as_secs_f64()).max(0.0),
    )
}
