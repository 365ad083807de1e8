//! W1, W2, W4 and W8 on each deployment, side by side.
//!
//! All servers share this machine, so more servers make nothing faster here. What counts is the processor
//! time of each server for a pair: the busiest one limits the deployment whose servers have machines of
//! their own.

use std::fs;
use std::path::Path;

use lockattr_tests::{CANARY, Deployed, Quorum, RedisCluster, RedisServer, Sentinels};

use crate::candidate::Candidate;
use crate::fleet;
use crate::rounds::Effort;
use crate::server_cost::{all_at_once, pairs};
use crate::server_stats::{cpu_seconds, server_work};
use crate::side_by_side::{Table, conditions};
use crate::uncontended::{latencies, pairs_per_second};

/// A deployment and who locks on it.
struct Site {
    name: &'static str,
    candidate: Candidate,
    url: String,
    servers: Box<dyn Nodes>,
}

/// The Redis servers of a deployment, which end with this value.
trait Nodes {
    fn nodes(&self) -> &[RedisServer];
}

impl Nodes for RedisServer {
    fn nodes(&self) -> &[RedisServer] {
        std::slice::from_ref(self)
    }
}

impl Nodes for Sentinels {
    fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }
}

impl Nodes for RedisCluster {
    fn nodes(&self) -> &[RedisServer] {
        Self::nodes(self)
    }
}

impl Nodes for Quorum {
    fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }
}

/// Independent ones.
impl Nodes for Vec<RedisServer> {
    fn nodes(&self) -> &[RedisServer] {
        self
    }
}

impl Site {
    fn new(name: &'static str, servers: impl Deployed + Nodes + 'static) -> Self {
        Self {
            name,
            candidate: Candidate::Lockattr,
            // As the user with all rights, as in the other workloads.
            url: servers.url().replace(&format!("locker:{CANARY}@"), ""),
            servers: Box::new(servers),
        }
    }

    fn nodes(&self) -> &[RedisServer] {
        self.servers.nodes()
    }

    /// Returns the processor time of each server so far, in microseconds.
    fn cpu(&self) -> Vec<f64> {
        let nodes = self.nodes().iter();
        nodes
            .map(|it| server_work(it, self.candidate).cpu)
            .collect()
    }
}

/// Independent servers, locked by rslock's Redlock.
fn redlock(name: &'static str, count: usize) -> Site {
    let servers: Vec<RedisServer> = (0..count).map(|_| RedisServer::start()).collect();
    let urls: Vec<String> = servers.iter().map(RedisServer::admin_url).collect();
    Site {
        name,
        candidate: Candidate::Rslock,
        url: urls.join(" "),
        servers: Box::new(servers),
    }
}

fn sites() -> Vec<Site> {
    vec![
        Site::new("single", RedisServer::start()),
        Site::new("Sentinel, 1 replica", Sentinels::start()),
        Site::new("Cluster, 1 master", RedisCluster::start(1, 0)),
        Site::new("Cluster, 2 masters", RedisCluster::start(2, 0)),
        Site::new("Cluster, 3 masters", RedisCluster::start(3, 0)),
        Site::new("quorum, 3 servers", Quorum::start(3)),
        Site::new("quorum, 5 servers", Quorum::start(5)),
        redlock("rslock, 3 masters", 3),
        redlock("rslock, 5 masters", 5),
    ]
}

pub(crate) async fn run(effort: Effort, folder: &Path) {
    let sites = sites();
    let mut text = format!(
        "{}\n\"busiest\" is the processor time of the busiest server for a pair, over all pairs; \
         \"limit\" is the throughput at which that server alone would use one core.\n",
        conditions(effort),
    );
    text += &latency(effort, &sites).await;
    for tasks in [64, 1024] {
        text += &throughput(effort, &sites, tasks).await;
    }
    text += &hot_key(effort, &sites).await;
    for tasks in [1, 8, 64] {
        text += &server_cost(effort, &sites, tasks).await;
    }
    println!("{text}");
    fs::create_dir_all(folder).expect("a folder");
    fs::write(folder.join("deployments.md"), text).expect("a file");
}

/// Measures all sites in turn, and returns a table of the medians.
async fn table<const N: usize>(
    effort: Effort,
    sites: &[Site],
    title: &str,
    columns: [&'static str; N],
    measure: impl AsyncFnMut(&Site) -> [f64; N],
) -> String {
    let table = Table::measure(effort, title, columns, sites, |site| site.name, measure);
    table.await.text()
}

/// One task, with a key after the other, so that each master has its part.
async fn latency(effort: Effort, sites: &[Site]) -> String {
    let columns = ["p50 µs", "p99 µs"];
    table(effort, sites, "W1: one task", columns, async |site| {
        let locker = site.candidate.connect(&site.url).await;
        let keys: Vec<String> = (0..64).map(|key| format!("own:{key}")).collect();
        latencies(&locker, &keys, effort.run).await
    })
    .await
}

async fn throughput(effort: Effort, sites: &[Site], tasks: usize) -> String {
    let columns = [
        "pairs/s here",
        "all servers µs/pair",
        "busiest µs/pair",
        "limit pairs/s",
        "client CPU µs/pair",
    ];
    let title = format!("W2: {tasks} tasks, each with its own key");
    table(effort, sites, &title, columns, async |site| {
        let locker = site.candidate.connect(&site.url).await;
        let (before, client) = (site.cpu(), cpu_seconds());
        let key = |task| format!("own:{task}");
        let (rate, counts, _) = pairs_per_second(&locker, tasks, effort.run, key).await;
        let pairs = f64::from(counts.iter().sum::<u32>());
        let client = (cpu_seconds() - client) * 1e6 / pairs;
        let (all, busiest) = per_pair(&before, &site.cpu(), pairs);
        [rate, all, busiest, 1e6 / busiest, client]
    })
    .await
}

async fn hot_key(effort: Effort, sites: &[Site]) -> String {
    let columns = [
        "pairs/s",
        "commands/pair",
        "min/max",
        "longest wait ms",
        "handoff p50 µs",
        "handoff p99 µs",
    ];
    let title = "W4: one key, 4 processes of 8 tasks";
    table(effort, sites, title, columns, async |site| {
        let (run, commands) =
            fleet::counted_run(site.nodes(), &site.url, site.candidate, 0, effort.run);
        let (p50, p99) = run.handoff;
        [run.rate, commands, run.fairness, run.longest_wait, p50, p99]
    })
    .await
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
async fn server_cost(effort: Effort, sites: &[Site], tasks: usize) -> String {
    let columns = ["all servers µs/pair", "busiest µs/pair", "limit pairs/s"];
    let title = format!("W8: {tasks} at once");
    table(effort, sites, &title, columns, async |site| {
        let locker = site.candidate.connect(&site.url).await;
        all_at_once(&locker, tasks, 20).await;
        let rounds = pairs(effort) / tasks;
        let before = site.cpu();
        all_at_once(&locker, tasks, rounds).await;
        let (all, busiest) = per_pair(&before, &site.cpu(), (rounds * tasks) as f64);
        [all, busiest, 1e6 / busiest]
    })
    .await
}

/// Returns the time of all servers and of the busiest one for a pair.
fn per_pair(before: &[f64], after: &[f64], pairs: f64) -> (f64, f64) {
    let spent = before
        .iter()
        .zip(after)
        .map(|(before, after)| after - before);
    let (all, busiest) = spent.fold((0.0, 0.0_f64), |(all, busiest), it| {
        (all + it, busiest.max(it))
    });
    (all / pairs, busiest / pairs)
}
