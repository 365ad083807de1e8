//! W1: the latency of one task. W2: the throughput of many tasks, each with its own key.

use std::time::{Duration, Instant};

use lockattr_tests::RedisServer;

use crate::candidate::{Candidate, Locker};
use crate::delay::{DelayProxy, round_trip};
use crate::report::Report;
use crate::rounds::{Effort, interleave, median, percentile};
use crate::server_stats::{ServerWork, cpu_seconds, server_work};

const CANDIDATES: [Candidate; 4] = [
    Candidate::ByHand,
    Candidate::Lockattr,
    Candidate::Rslock,
    Candidate::AsyncRedisLock,
];

pub(crate) async fn one_task(effort: Effort, report: &mut Report) {
    let server = RedisServer::start();
    latency(effort, report, "W1 loopback", &server.admin_url()).await;
    // In each direction, so that a round trip is 1 ms longer.
    let proxy = DelayProxy::start(server.port(), Duration::from_micros(500));
    let delayed = server.admin_url_at(proxy.port());
    let (near, far) = (round_trip(&server.admin_url()), round_trip(&delayed));
    report.note(format!(
        "W1: a PING takes {near:.0} µs on loopback, {far:.0} µs behind +1 ms."
    ));
    latency(effort, report, "W1 +1 ms", &delayed).await;
}

pub(crate) async fn many_tasks(effort: Effort, report: &mut Report) {
    let server = RedisServer::start();
    for tasks in [64, 1024] {
        throughput(effort, report, tasks, &server).await;
    }
}

async fn latency(effort: Effort, report: &mut Report, name: &str, url: &str) {
    let all = interleave(effort, &CANDIDATES, async |candidate| {
        let locker = candidate.connect(url).await;
        latencies(&locker, &["own".to_owned()], effort.run).await
    })
    .await;
    for (candidate, rounds) in all {
        report.add(name, candidate, "p50 µs", median(&rounds, |round| round[0]));
        report.add(name, candidate, "p99 µs", median(&rounds, |round| round[1]));
    }
}

/// Returns how long a pair takes one task in µs, with a key after the other: p50 and p99.
pub(crate) async fn latencies(locker: &Locker, keys: &[String], time: Duration) -> [f64; 2] {
    for key in keys {
        locker.hold(key, async || {}).await;
    }
    let (start, mut times) = (Instant::now(), Vec::new());
    for key in keys.iter().cycle() {
        let before = Instant::now();
        locker.hold(key, async || {}).await;
        times.push(before.elapsed().as_secs_f64() * 1e6);
        if start.elapsed() > time {
            break;
        }
    }
    [percentile(times.clone(), 50), percentile(times, 99)]
}

async fn throughput(effort: Effort, report: &mut Report, tasks: usize, server: &RedisServer) {
    let name = format!("W2 {tasks} tasks");
    let all = interleave(effort, &CANDIDATES, async |candidate| {
        let locker = candidate.connect(&server.admin_url()).await;
        let key = |task| format!("own:{task}");
        let (before, cpu) = (server_work(server, candidate), cpu_seconds());
        let (rate, pairs, _) = pairs_per_second(&locker, tasks, effort.run, key).await;
        let cpu = (cpu_seconds() - cpu) * 1e6;
        let pairs = pairs.iter().sum::<u32>();
        let work = server_work(server, candidate).since(&before, pairs as usize);
        (rate, work, cpu / f64::from(pairs))
    })
    .await;
    for (candidate, rounds) in all {
        let mut add = |what, figure: fn(&(f64, ServerWork, f64)) -> f64| {
            report.add(&name, candidate, what, median(&rounds, figure));
        };
        add("pairs/s", |round| round.0);
        add("commands/pair", |round| round.1.commands);
        add("command µs/pair", |round| round.1.in_commands);
        add("server CPU µs/pair", |round| round.1.cpu);
        add("client CPU µs/pair", |round| round.2);
    }
}

/// Returns the throughput of all tasks in this time: pairs per second, the pairs of each task, and
/// the longest wait in milliseconds.
pub(crate) async fn pairs_per_second(
    locker: &Locker,
    tasks: usize,
    time: Duration,
    key: impl Fn(usize) -> String,
) -> (f64, Vec<u32>, f64) {
    let start = Instant::now();
    let running: Vec<_> = (0..tasks)
        .map(|task| {
            let (locker, key) = (locker.clone(), key(task));
            tokio::spawn(async move {
                let (mut pairs, mut longest) = (0_u32, Duration::ZERO);
                while start.elapsed() < time {
                    let asked = Instant::now();
                    let waited = locker.hold(&key, async || asked.elapsed()).await;
                    longest = longest.max(waited);
                    pairs += 1;
                }
                (pairs, longest)
            })
        })
        .collect();
    let (mut counts, mut longest) = (Vec::new(), Duration::ZERO);
    for task in running {
        let (pairs, waited) = task.await.expect("a benchmark does not panic");
        counts.push(pairs);
        longest = longest.max(waited);
    }
    let pairs: u32 = counts.iter().sum();
    let rate = f64::from(pairs) / start.elapsed().as_secs_f64();
    (rate, counts, longest.as_secs_f64() * 1e3)
}
