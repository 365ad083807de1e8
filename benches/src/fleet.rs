//! W4: one key wanted by the tasks of several processes.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use lockattr_tests::RedisServer;

use crate::candidate::Candidate;
use crate::delay::DelayProxy;
use crate::hot_key::fairness;
use crate::report::Report;
use crate::rounds::{Effort, interleave, median, percentile};
use crate::server_stats::commands_sent;

/// The processes that want the key, and how many tasks each of them has.
#[derive(Clone, Copy)]
pub(crate) struct Fleet {
    pub(crate) processes: usize,
    pub(crate) tasks: u32,
}

const FLEET: Fleet = Fleet {
    processes: 4,
    tasks: 8,
};
const ALL: [Candidate; 5] = [
    Candidate::Lockattr,
    Candidate::NoPassing,
    Candidate::ByHand,
    Candidate::Rslock,
    Candidate::AsyncRedisLock,
];

/// One stay in the section, on the processes' shared clock.
#[derive(Clone, Copy)]
struct Stay {
    process: usize,
    task: u32,
    entered: u64,
    /// When the release was called.
    left: u64,
    waited: u64,
}

pub(crate) struct Figures {
    pub(crate) pairs: usize,
    pub(crate) rate: f64,
    /// How often another process had the key than before, a second.
    pub(crate) handoffs: f64,
    pub(crate) fairness: f64,
    pub(crate) longest_wait: f64,
    pub(crate) handoff: (f64, f64),
}

pub(crate) async fn run(effort: Effort, report: &mut Report) {
    for (name, section) in [("empty section", 0), ("1 ms section", 1000)] {
        workload(effort, report, &format!("W4 {name}"), section, 0, &ALL).await;
    }
    // A round trip takes long here, so the quick run leaves out one delay and the peers.
    let delays: &[u64] = if effort.is_quick { &[20] } else { &[1, 20] };
    for millis in delays.iter().copied() {
        let name = format!("W4 empty, +{millis} ms");
        let candidates = if effort.is_quick { &ALL[..3] } else { &ALL };
        workload(effort, report, &name, 0, millis, candidates).await;
    }
}

async fn workload(
    effort: Effort,
    report: &mut Report,
    name: &str,
    section: u64,
    delay: u64,
    candidates: &[Candidate],
) {
    let server = RedisServer::start();
    let delay = Duration::from_micros(delay * 500);
    let proxy = (!delay.is_zero()).then(|| DelayProxy::start(server.port(), delay));
    let port = proxy.as_ref().map_or(server.port(), DelayProxy::port);
    let url = server.admin_url_at(port);
    let all = interleave(effort, candidates, async |candidate| {
        let servers = std::slice::from_ref(&server);
        counted_run(servers, &url, candidate, section, effort.run)
    })
    .await;
    for (candidate, rounds) in all {
        let mut add = |what, figure: fn(&(Figures, f64)) -> f64| {
            report.add(name, candidate, what, median(&rounds, figure));
        };
        add("pairs/s", |(run, _)| run.rate);
        add("commands/pair", |(_, commands)| *commands);
        add("min/max", |(run, _)| run.fairness);
        add("longest wait ms", |(run, _)| run.longest_wait);
        add("handoff p50 µs", |(run, _)| run.handoff.0);
        add("handoff p99 µs", |(run, _)| run.handoff.1);
    }
}

/// Lets the processes compete once on Redis, and counts its commands for a pair.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(crate) fn counted_run(
    servers: &[RedisServer],
    url: &str,
    candidate: Candidate,
    section: u64,
    time: Duration,
) -> (Figures, f64) {
    let sent = || -> u64 {
        let by_server = servers.iter();
        by_server.map(|it| commands_sent(it, candidate)).sum()
    };
    let before = sent();
    let run = one_run(FLEET, url, candidate, section, time);
    let commands = (sent() - before) as f64 / run.pairs as f64;
    (run, commands)
}

/// Lets the processes compete once, for a section of this many microseconds.
pub(crate) fn one_run(
    fleet: Fleet,
    url: &str,
    candidate: Candidate,
    section: u64,
    time: Duration,
) -> Figures {
    let mut workers: Vec<Child> = (0..fleet.processes)
        .map(|_| {
            Command::new(std::env::current_exe().expect("this program"))
                .args(["worker", candidate.name(), url])
                .args([section, fleet.tasks.into()].map(|n| n.to_string()))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("a process")
        })
        .collect();
    for worker in &mut workers {
        let output = worker.stdout.as_mut().expect("it is piped");
        output.read_exact(&mut [0]).expect("it is ready");
    }
    let start = now() + 10_000_000;
    let span = [start, start + nanos(time)].map(u64::to_le_bytes).concat();
    for worker in &mut workers {
        let mut input = worker.stdin.take().expect("it is piped");
        input.write_all(&span).expect("a pipe");
    }
    let mut stays = Vec::new();
    for (process, mut worker) in workers.into_iter().enumerate() {
        let mut said = Vec::new();
        let mut output = worker.stdout.take().expect("it is piped");
        output.read_to_end(&mut said).expect("a pipe");
        assert!(worker.wait().expect("a process").success());
        stays.extend(said.chunks_exact(32).map(|bytes| decode(process, bytes)));
    }
    stays.sort_unstable_by_key(|stay| stay.entered);
    figures(fleet, &stays, time)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn figures(fleet: Fleet, stays: &[Stay], time: Duration) -> Figures {
    let tasks = fleet.tasks as usize;
    let mut pairs = vec![0; fleet.processes * tasks];
    for stay in stays {
        pairs[stay.process * tasks + stay.task as usize] += 1;
    }
    let handoffs: Vec<f64> = stays
        .windows(2)
        .filter(|pair| pair[0].process != pair[1].process)
        .map(|pair| pair[1].entered.saturating_sub(pair[0].left) as f64 / 1e3)
        .collect();
    let longest = stays.iter().map(|stay| stay.waited).max().unwrap_or(0);
    Figures {
        pairs: stays.len(),
        rate: stays.len() as f64 / time.as_secs_f64(),
        handoffs: handoffs.len() as f64 / time.as_secs_f64(),
        fairness: fairness(&pairs),
        longest_wait: longest as f64 / 1e6,
        handoff: (percentile(handoffs.clone(), 50), percentile(handoffs, 99)),
    }
}

/// One process of the fleet: `worker CANDIDATE URL SECTION TASKS`, with the section in µs. It says when it is
/// ready, and is told then when to start and when to end, in ns.
pub(crate) async fn work(args: &[String]) {
    let candidate = Candidate::named(&args[0]);
    let number = |n: usize| args[n].parse::<u64>().expect("a number");
    let section = Duration::from_micros(number(2));
    let locker = candidate.connect(&args[1]).await;
    // What only the first lock of a process needs is there after this.
    let own = format!("own:{}", std::process::id());
    locker.hold(&own, async || {}).await;
    let (start, end) = told_when();
    let running: Vec<_> = (0..number(3))
        .map(|task| {
            let locker = locker.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_nanos(start.saturating_sub(now()))).await;
                let mut stays = Vec::new();
                while now() < end {
                    let asked = Instant::now();
                    let stay = async || {
                        let (waited, entered) = (nanos(asked.elapsed()), now());
                        if !section.is_zero() {
                            tokio::time::sleep(section).await;
                        }
                        (entered, now(), waited)
                    };
                    let (entered, left, waited) = locker.hold("hot", stay).await;
                    stays.push([task, entered, left, waited]);
                }
                stays
            })
        })
        .collect();
    let mut said = Vec::new();
    for task in running {
        for stay in task.await.expect("a benchmark does not panic") {
            said.extend(stay.into_iter().flat_map(u64::to_le_bytes));
        }
    }
    std::io::stdout().write_all(&said).expect("a pipe");
}

fn told_when() -> (u64, u64) {
    let mut output = std::io::stdout();
    output.write_all(&[1]).expect("a pipe");
    output.flush().expect("a pipe");
    let mut told = [0; 16];
    std::io::stdin().read_exact(&mut told).expect("a pipe");
    (number_at(&told, 0), number_at(&told, 1))
}

fn decode(process: usize, bytes: &[u8]) -> Stay {
    let number = |n| number_at(bytes, n);
    Stay {
        process,
        task: u32::try_from(number(0)).expect("a task"),
        entered: number(1),
        left: number(2),
        waited: number(3),
    }
}

fn number_at(bytes: &[u8], place: usize) -> u64 {
    let bytes = bytes[place * 8..][..8].try_into().expect("eight bytes");
    u64::from_le_bytes(bytes)
}

fn now() -> u64 {
    nanos(
        SystemTime::UNIX_EPOCH
            .elapsed()
            .expect("a clock after 1970"),
    )
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).expect("a time within centuries")
}
