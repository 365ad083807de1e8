//! What follows for locks from the state of a server: its disk, its replicas, its cluster.

use super::Deployment;
use super::ask::Seen;
use super::{finding, not_known};
use crate::diagnosis::{Finding, Severity, Topic};

/// A replica that was not heard of for longer is behind; they tell every second.
const LAG: u32 = 2;

pub(super) fn persistence(seen: &Seen, deployment: Deployment) -> Vec<Finding> {
    let topic = Topic::Persistence;
    let Some(aof) = seen.info("aof_enabled") else {
        return vec![not_known(
            Severity::Warning,
            topic,
            "what a restart forgets",
        )];
    };
    let mut found = Vec::new();
    if let Deployment::Member { is_delayed: true } = deployment {
        let said =
            "what a restart forgets does not matter: the server has no vote for a while after it";
        found.push(finding(Severity::Good, topic, said));
    } else if let (Deployment::Member { .. }, "0") = (deployment, aof) {
        let said = "without AOF a restart forgets locks, and the server votes again at once";
        let fix = "appendfsync always, or `restart_delay` of the longest ttl";
        found.push(finding(Severity::Warning, topic, said).with_remedy(fix));
    } else if aof == "0" {
        let said = "without AOF a restart forgets locks";
        let fix = "appendonly yes, or rely on the fencing token";
        found.push(finding(Severity::Warning, topic, said).with_remedy(fix));
    } else {
        found.push(match seen.setting("appendfsync") {
            Some("always") => finding(Severity::Good, topic, "AOF, on disk before the answer"),
            Some("everysec") => {
                let said =
                    "AOF, on disk every second: a power failure forgets the locks of the last ones";
                finding(Severity::Limit, topic, said).with_remedy("appendfsync always")
            }
            Some(other) => {
                let said = format!("AOF, with appendfsync {other}: a power failure forgets locks");
                finding(Severity::Limit, topic, said).with_remedy("appendfsync always")
            }
            None => {
                let said = "AOF; how often it is on disk is not known: no right to CONFIG GET";
                finding(Severity::Unknown, topic, said)
            }
        });
    }
    if aof != "0" && seen.info("aof_last_write_status") == Some("err") {
        let said = "the AOF cannot be written: the server refuses every write (MISCONF)";
        found.push(
            finding(Severity::Warning, topic, said)
                .with_remedy("see the server's log and its disk"),
        );
    }
    found.extend(snapshots(seen));
    found
}

/// A snapshot that failed stops all writes, unless that is switched off or there are none.
fn snapshots(seen: &Seen) -> Option<Finding> {
    let has_failed = seen.info("rdb_last_bgsave_status") == Some("err");
    let stops = seen.setting("stop-writes-on-bgsave-error");
    let is_harmless = stops == Some("no") || seen.setting("save") == Some("");
    if !has_failed || is_harmless {
        return None;
    }
    let said = if stops == Some("yes") {
        "the latest snapshot failed: the server refuses every write (MISCONF)"
    } else {
        "the latest snapshot failed: the server may refuse every write (MISCONF)"
    };
    let fix = "see the server's log and its disk; or stop-writes-on-bgsave-error no";
    Some(finding(Severity::Warning, Topic::Persistence, said).with_remedy(fix))
}

pub(super) fn replication(seen: &Seen, deployment: Deployment) -> Vec<Finding> {
    let topic = Topic::Replication;
    let Some(role) = seen.info("role") else {
        return vec![not_known(
            Severity::Unknown,
            topic,
            "whether there are replicas",
        )];
    };
    if role != "master" {
        let said = format!("the server is a {role}: it grants nothing");
        return vec![finding(Severity::Broken, topic, said).with_remedy("the master's URL")];
    }
    let replicas = replicas(seen);
    if let Deployment::Member { .. } = deployment {
        return if replicas.is_empty() {
            let said = "no replica: the other servers of the quorum take its place";
            vec![finding(Severity::Good, topic, said)]
        } else {
            let said = "it has replicas: one that takes its place without all locks breaks the quorum's promise";
            vec![
                finding(Severity::Warning, topic, said)
                    .with_remedy("no failover for a server of a quorum"),
            ]
        };
    }
    let mut found = Vec::new();
    if replicas.is_empty() {
        found.push(match deployment {
            Deployment::Single | Deployment::Member { .. } => {
                let said = "no replica: while the server is down, nothing is granted";
                finding(Severity::Limit, topic, said)
            }
            Deployment::Sentinel | Deployment::Cluster => {
                let said = "no replica: nothing takes over when the master is lost";
                finding(Severity::Warning, topic, said).with_remedy("a replica for each master")
            }
        });
    }
    for replica in replicas.iter().filter(|replica| replica.is_behind()) {
        let said = format!(
            "the replica {} is behind ({}, last heard of {} s ago): a failover to it loses locks",
            replica.address, replica.state, replica.lag
        );
        found.push(
            finding(Severity::Warning, topic, said).with_remedy("see its log, and the network"),
        );
    }
    if found.is_empty() && !replicas.is_empty() {
        let said = format!(
            "{} in step; a failover may still lose the latest locks",
            count(replicas.len(), "replica")
        );
        found.push(finding(Severity::Limit, topic, said).with_remedy("use the fencing token"));
    }
    found.extend(least_replicas(seen, &replicas, deployment));
    found
}

/// Whether a master that is cut off from its replicas goes on granting.
fn least_replicas(
    seen: &Seen,
    replicas: &[Replica<'_>],
    deployment: Deployment,
) -> Option<Finding> {
    let topic = Topic::Replication;
    let Some(least) = seen.setting("min-replicas-to-write") else {
        let said = "min-replicas-to-write is not known: no right to CONFIG GET";
        return Some(finding(Severity::Unknown, topic, said));
    };
    let least: usize = least.parse().unwrap_or(0);
    if least == 0 {
        if deployment != Deployment::Sentinel {
            return None;
        }
        let said = "min-replicas-to-write is 0: a master that is cut off goes on granting";
        let fix = "min-replicas-to-write 1, with two replicas or more";
        return Some(finding(Severity::Limit, topic, said).with_remedy(fix));
    }
    let good = seen
        .info("min_slaves_good_slaves")
        .and_then(|good| good.parse().ok());
    let good = good.unwrap_or(replicas.len());
    if good < least {
        let said = format!(
            "{good} of the {least} replicas of min-replicas-to-write: the server refuses every write (NOREPLICAS)"
        );
        return Some(finding(Severity::Warning, topic, said).with_remedy("bring a replica back"));
    }
    let said = format!(
        "a master without {} refuses every write",
        count(least, "replica")
    );
    Some(finding(Severity::Good, topic, said))
}

pub(super) fn cluster(seen: &Seen) -> Vec<Finding> {
    let topic = Topic::Cluster;
    let Some(cluster) = &seen.cluster else {
        let said = "its state is not known: no right to CLUSTER INFO";
        return vec![finding(Severity::Unknown, topic, said)];
    };
    let field = |name: &str| cluster.get(name).map_or("?", String::as_str);
    let (state, ok) = (field("cluster_state"), field("cluster_slots_ok"));
    if state == "ok" && ok == "16384" {
        return vec![finding(Severity::Good, topic, "all slots are served")];
    }
    let said = format!("its state is {state}, and {ok} of 16384 slots are served");
    vec![finding(Severity::Broken, topic, said).with_remedy("redis-cli --cluster check")]
}

struct Replica<'a> {
    address: String,
    state: &'a str,
    lag: u32,
}

impl Replica<'_> {
    fn is_behind(&self) -> bool {
        self.state != "online" || self.lag > LAG
    }
}

fn replicas(seen: &Seen) -> Vec<Replica<'_>> {
    let lines = (0..).map_while(|n| seen.info(&format!("slave{n}")));
    lines
        .map(|line| {
            let field = |name: &str| {
                let mut pairs = line.split(',').filter_map(|pair| pair.split_once('='));
                pairs.find_map(|(key, value)| (key == name).then_some(value))
            };
            Replica {
                address: format!(
                    "{}:{}",
                    field("ip").unwrap_or("?"),
                    field("port").unwrap_or("?")
                ),
                state: field("state").unwrap_or("?"),
                lag: field("lag")
                    .and_then(|lag| lag.parse().ok())
                    .unwrap_or(u32::MAX),
            }
        })
        .collect()
}

fn count(number: usize, of: &str) -> String {
    format!("{number} {of}{}", if number == 1 { "" } else { "s" })
}
