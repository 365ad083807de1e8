//! What follows for locks from what a server says of itself: its kind, its rights and its settings.

use super::Deployment;
use super::ask::Seen;
use super::{finding, judge_state, not_known, unreachable};
use crate::diagnosis::{Finding, Severity, Topic};

/// Commands without which nothing can be locked; the others are for waiters.
const NEEDED: [&str; 7] = ["GET", "SET", "DEL", "EXISTS", "PEXPIRE", "PTTL", "TIME"];
/// Commands for locks that several have at the same time.
const FOR_SHARES: [&str; 6] = ["HDEL", "HGET", "HGETALL", "HLEN", "HSET", "LINDEX"];
/// The pool asks something after so many seconds of silence.
const IDLE: u32 = 10;
/// Clocks that differ by more microseconds are not kept in step.
const CLOCK: u64 = 1_000_000;

pub(super) fn judge(seen: &Seen, deployment: Deployment) -> Vec<Finding> {
    if let Some(error) = &seen.failed {
        let mut found = vec![unreachable(error)];
        if seen.cluster.is_some() {
            found.extend(judge_state::cluster(seen));
        }
        return found;
    }
    let mut found = vec![rights(seen)];
    found.extend(version(seen));
    found.push(eviction(seen));
    found.extend(judge_state::persistence(seen, deployment));
    found.extend(judge_state::replication(seen, deployment));
    if deployment == Deployment::Cluster {
        found.extend(judge_state::cluster(seen));
    }
    found.extend(clock(seen));
    found.push(idle_timeout(seen));
    found
}

fn rights(seen: &Seen) -> Finding {
    let Some(missing) = &seen.missing else {
        let said = "not known: a server before Redis 7 does not say what its user may do";
        return finding(Severity::Unknown, Topic::Rights, said);
    };
    if missing.is_empty() {
        let said = "the user may do all that the scripts do";
        return finding(Severity::Good, Topic::Rights, said);
    }
    let is_needed = missing
        .iter()
        .any(|command| NEEDED.contains(&command.as_str()));
    let is_for_shares = |command: &String| FOR_SHARES.contains(&command.as_str());
    let (severity, so) = if is_needed {
        (Severity::Broken, "nothing can be locked")
    } else if missing.iter().all(is_for_shares) {
        (Severity::Limit, "calls with `shared` or `permits` fail")
    } else {
        (Severity::Warning, "calls that wait for a lock fail")
    };
    let said = format!("the user may not call {}: {so}", missing.join(", "));
    finding(severity, Topic::Rights, said).with_remedy("the rights in docs/operations.md")
}

fn version(seen: &Seen) -> Option<Finding> {
    let Some(version) = seen.version() else {
        return Some(not_known(Severity::Unknown, Topic::Version, "the version"));
    };
    let number = seen.redis_version()?;
    Some(if number < (6, 2) {
        let said = format!("{version} does not know SET with KEEPTTL and GET");
        finding(Severity::Broken, Topic::Version, said).with_remedy("Redis 6.2 or later, or Valkey")
    } else if number < (7, 2) {
        let said = format!("{version} has no WAITAOF: no grant can wait until it is on disk");
        finding(Severity::Limit, Topic::Version, said).with_remedy("Redis 7.2 or later, or Valkey")
    } else {
        finding(Severity::Good, Topic::Version, version)
    })
}

fn eviction(seen: &Seen) -> Finding {
    match seen.info("maxmemory_policy") {
        None => not_known(Severity::Warning, Topic::Eviction, "the policy"),
        Some("noeviction") => finding(
            Severity::Good,
            Topic::Eviction,
            "maxmemory-policy is noeviction",
        ),
        Some(policy) => {
            let said = format!("maxmemory-policy is {policy}, which evicts locks");
            finding(Severity::Warning, Topic::Eviction, said)
                .with_remedy("maxmemory-policy noeviction")
        }
    }
}

fn clock(seen: &Seen) -> Option<Finding> {
    let ahead = seen.ahead?;
    let (millis, to) = (
        ahead.unsigned_abs() / 1000,
        if ahead < 0 { "behind" } else { "ahead of" },
    );
    let said = format!("{millis} ms {to} this machine's");
    if ahead.unsigned_abs() < CLOCK {
        return Some(finding(Severity::Good, Topic::Clock, said));
    }
    let said = format!("{said}: after a failover or a loss of data, tokens may go back by as much");
    Some(
        finding(Severity::Warning, Topic::Clock, said).with_remedy("keep the clocks in step (NTP)"),
    )
}

fn idle_timeout(seen: &Seen) -> Finding {
    let Some(timeout) = seen.setting("timeout") else {
        let said = "not known: no right to CONFIG GET";
        return finding(Severity::Unknown, Topic::IdleTimeout, said);
    };
    match timeout.parse::<u32>() {
        Ok(0) => finding(
            Severity::Good,
            Topic::IdleTimeout,
            "the server closes no idle connection",
        ),
        Ok(seconds) if seconds <= IDLE => {
            let said = format!(
                "the server closes connections after {seconds} s, and the pool asks every {IDLE} s only"
            );
            finding(Severity::Warning, Topic::IdleTimeout, said)
                .with_remedy("timeout 0, or at least 30")
        }
        _ => {
            let said = format!(
                "the server closes connections after {timeout} s; the pool asks every {IDLE} s"
            );
            finding(Severity::Good, Topic::IdleTimeout, said)
        }
    }
}
