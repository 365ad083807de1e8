//! W1, W2 and W4 on the other engines, each against what its users would write by hand.
//!
//! The servers are set as users have them: what they have answered is on the disk, except where the title
//! says otherwise.

mod disk;
mod etcd;
mod postgres;
mod zookeeper;

use std::fs;
use std::path::Path;

use crate::candidate::Candidate;
use crate::fleet::{self, Fleet};
use crate::rounds::Effort;
use crate::server_stats::cpu_seconds;
use crate::side_by_side::{Table, conditions};
use crate::uncontended::{latencies, pairs_per_second};

const TASKS: usize = 64;
const FLEET: Fleet = Fleet {
    processes: 8,
    tasks: 1,
};

/// A server, and the candidates that lock on it; the library is the first of them.
struct Engine {
    name: String,
    server: Box<dyn Server>,
    sites: Vec<Site>,
}

/// A candidate, and the address that it takes.
struct Site {
    candidate: Candidate,
    url: String,
}

trait Server {
    /// Returns the processor time of all its processes so far.
    fn cpu_seconds(&self) -> f64;
}

type Start = fn() -> Engine;

/// What the program is told, and what it starts then.
const ENGINES: [(&str, Start); 4] = [
    ("postgres", postgres::durable),
    ("postgres", postgres::asynchronous),
    ("etcd", etcd::start),
    ("zookeeper", zookeeper::start),
];

/// Measures the engines that are named; all of them, and saves the figures, if none is.
pub(crate) async fn run(effort: Effort, args: &[String], folder: &Path) {
    let is_named = |name: &str| args.iter().any(|arg| arg == name);
    let all = !ENGINES.iter().any(|(name, _)| is_named(name));
    let mut text = format!(
        "{}\nEach engine is one server. It answers when the disk has it, except where the title says otherwise; 8 KiB \
         take this disk {:.0} µs (fdatasync, p50). The CPU of a server is that of all its processes. W4 is one key \
         that {} processes want at the same time, with a task and a connection each; nothing is done under the \
         lock. A handoff is from the call of the release to the next process under the lock. The ratios are medians \
         of those of each round.\n",
        conditions(effort),
        disk::micros_of_a_sync(),
        FLEET.processes,
    );
    for (name, start) in ENGINES {
        if all || is_named(name) {
            let engine = start();
            text += &latency(effort, &engine).await;
            text += &throughput(effort, &engine).await;
            text += &handoffs(effort, &engine).await;
        }
    }
    println!("{text}");
    if all {
        fs::create_dir_all(folder).expect("a folder");
        fs::write(folder.join("engines.md"), text).expect("a file");
    }
}

async fn latency(effort: Effort, engine: &Engine) -> String {
    let columns = ["p50 µs", "p99 µs"];
    engine
        .table(effort, "W1: one task", columns, async |site| {
            let locker = site.candidate.connect(&site.url).await;
            latencies(&locker, &["own".to_owned()], effort.run).await
        })
        .await
}

async fn throughput(effort: Effort, engine: &Engine) -> String {
    let columns = ["pairs/s", "server CPU µs/pair", "client CPU µs/pair"];
    let title = format!("W2: {TASKS} tasks, each with its own key");
    engine
        .table(effort, &title, columns, async |site| {
            let locker = site.candidate.connect(&site.url).await;
            let key = |task| format!("own:{task}");
            // Connections and folders are there after this.
            pairs_per_second(&locker, TASKS, effort.run / 10, key).await;
            let (server, client) = (engine.server.cpu_seconds(), cpu_seconds());
            let (rate, counts, _) = pairs_per_second(&locker, TASKS, effort.run, key).await;
            let server = engine.server.cpu_seconds() - server;
            let client = cpu_seconds() - client;
            let pairs = f64::from(counts.iter().sum::<u32>());
            [rate, server * 1e6 / pairs, client * 1e6 / pairs]
        })
        .await
}

async fn handoffs(effort: Effort, engine: &Engine) -> String {
    let columns = [
        "pairs/s",
        "handoffs/s",
        "fewest/most",
        "longest wait ms",
        "handoff p50 µs",
        "handoff p99 µs",
    ];
    let title = format!("W4: one key, {} processes", FLEET.processes);
    engine
        .table(effort, &title, columns, async |site| {
            let run = fleet::one_run(FLEET, &site.url, site.candidate, 0, effort.run);
            let (p50, p99) = run.handoff;
            [
                run.rate,
                run.handoffs,
                run.fairness,
                run.longest_wait,
                p50,
                p99,
            ]
        })
        .await
}

impl Engine {
    async fn table<const N: usize>(
        &self,
        effort: Effort,
        workload: &str,
        columns: [&'static str; N],
        measure: impl AsyncFnMut(&Site) -> [f64; N],
    ) -> String {
        let title = format!("{}, {workload}", self.name);
        let name = |site: &Site| site.candidate.name();
        let table = Table::measure(effort, &title, columns, &self.sites, name, measure);
        table.await.with_ratios().text()
    }
}
