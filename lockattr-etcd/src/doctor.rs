//! What etcd, as it is set up, can and cannot promise.

use lockattr::backend::{BackendError, Examination, Time};
use lockattr::{Diagnosis, Finding, Severity, Topic};

use crate::attempts::Core;
use crate::rpc::{Member, MemberListRequest, RangeRequest, StatusRequest, StatusResponse};
use crate::way::Way;

/// What etcd allows unless it is told otherwise.
const DEFAULT_QUOTA: i64 = 2 << 30;
/// The first versions in which a stuck leader does not end leases early, by their minor number (etcd#15247).
const SOUND: [(u32, u32); 2] = [(4, 30), (5, 12)];

pub(crate) fn examine(core: &Core) -> Examination {
    let way = Way::of(core);
    Box::pin(async move {
        let Some(way) = way else {
            let seen = "there is no connection to etcd";
            return Diagnosis::of("etcd").with(broken(Topic::Deployment, seen));
        };
        diagnose(&way).await
    })
}

async fn diagnose(way: &Way) -> Diagnosis {
    let asked_at = Time::now();
    let probed = way
        .ask(RangeRequest {
            key: way.names.probe(),
            ..RangeRequest::default()
        })
        .await;
    let round_trip = Time::now().since(asked_at);
    let members = way.ask(MemberListRequest {}).await;
    let status = way.ask(StatusRequest {}).await;
    let members = members.map(|answer| answer.members);
    let mut diagnosis = Diagnosis::of(match &members {
        Ok(members) => match voters(members) {
            1 => "one member of etcd".to_owned(),
            count => format!("{count} members of etcd"),
        },
        Err(_) => "etcd".to_owned(),
    });
    match probed {
        Ok(_) => {
            diagnosis = diagnosis
                .with_round_trip(round_trip)
                .with(good(Topic::Rights, "the locks can be read"));
        }
        Err(error) => diagnosis = diagnosis.with(broken(Topic::Rights, &error.to_string())),
    }
    let diagnosis = diagnosis.with(judge_members(&members));
    let findings = judge_status(&status);
    findings.into_iter().fold(diagnosis, Diagnosis::with)
}

fn good(topic: Topic, seen: &str) -> Finding {
    Finding::new(Severity::Good, topic, seen)
}

fn broken(topic: Topic, seen: &str) -> Finding {
    Finding::new(Severity::Broken, topic, seen)
}

/// Learners have no vote.
fn voters(members: &[Member]) -> usize {
    members.iter().filter(|member| !member.is_learner).count()
}

fn judge_members(members: &Result<Vec<Member>, BackendError>) -> Finding {
    let topic = Topic::Replication;
    match members.as_deref().map(voters) {
        Err(error) => {
            let seen = format!("how many members there are is not told: {error}");
            Finding::new(Severity::Unknown, topic, seen)
        }
        Ok(0) => Finding::new(Severity::Unknown, topic, "no member with a vote is told"),
        Ok(1) => {
            let seen = "there is one member: while it is away, no process gets a lock, and with its disk go \
                        the locks and the order of the fencing tokens";
            Finding::new(Severity::Limit, topic, seen).with_remedy("three members")
        }
        Ok(count) if count % 2 == 0 => {
            let spare = (count - 1) / 2;
            let seen = format!(
                "{count} members survive the loss of {spare}, as {} do",
                count - 1
            );
            Finding::new(Severity::Limit, topic, seen).with_remedy("an odd number of members")
        }
        Ok(count) => {
            let spare = (count - 1) / 2;
            good(
                topic,
                &format!("{count} members survive the loss of {spare}"),
            )
        }
    }
}

fn judge_status(status: &Result<StatusResponse, BackendError>) -> Vec<Finding> {
    let status = match status {
        Ok(status) => status,
        Err(error) => {
            let seen = format!("the member does not tell its state: {error}");
            return vec![Finding::new(Severity::Unknown, Topic::Version, seen)];
        }
    };
    let mut found = vec![judge_version(&status.version), judge_size(status)];
    if status.leader == 0 {
        found.push(broken(Topic::Cluster, "the members have no leader"));
    }
    if status.is_learner {
        let seen = "this member is a learner: it has no vote yet, and refuses most questions";
        found.push(broken(Topic::Cluster, seen));
    }
    // Such as `memberID:1 alarm:NOSPACE`, and `etcdserver: no leader`.
    let alarms = status.errors.iter().filter(|text| text.contains("alarm"));
    found.extend(alarms.map(|alarm| {
        let seen = format!("an alarm: {}", alarm.trim());
        let remedy = "etcdctl alarm list; after its cause is gone, etcdctl alarm disarm";
        broken(Topic::Persistence, &seen).with_remedy(remedy)
    }));
    let seen = "whether the members write to their disks before they answer is not told: they do, unless \
                they run with --unsafe-no-fsync";
    found.push(Finding::new(Severity::Unknown, Topic::Persistence, seen));
    found
}

fn judge_version(version: &str) -> Finding {
    let topic = Topic::Version;
    let Some((minor, patch)) = parse_version(version) else {
        return Finding::new(Severity::Unknown, topic, format!("etcd {version}"));
    };
    let seen = format!("etcd {version}");
    if minor < 4 {
        let seen = format!("{seen} is older than what this was tested with");
        return Finding::new(Severity::Warning, topic, seen).with_remedy("etcd 3.5 or newer");
    }
    if minor == 5 && patch < 3 {
        let seen = format!("{seen} can lose changes of single members in a crash");
        return broken(topic, &seen).with_remedy("etcd 3.5.12 or newer");
    }
    match SOUND.iter().find(|(of, _)| *of == minor) {
        Some((_, first)) if patch < *first => {
            let seen = format!(
                "{seen}: a leader that was stuck, and has been replaced, can end leases early (etcd#15247)"
            );
            let remedy = format!("etcd 3.{minor}.{first} or newer");
            Finding::new(Severity::Warning, topic, seen).with_remedy(remedy)
        }
        _ => good(topic, &seen),
    }
}

/// The minor version and the patch of a major version 3.
fn parse_version(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.strip_prefix("3.")?.split(['.', '-', '+']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn judge_size(status: &StatusResponse) -> Finding {
    let topic = Topic::Persistence;
    let is_told = status.db_size_quota > 0;
    let quota = if is_told {
        status.db_size_quota
    } else {
        DEFAULT_QUOTA
    };
    let of = if is_told {
        ""
    } else {
        ", if that is the default"
    };
    let mib = |bytes: i64| bytes >> 20;
    let seen = format!(
        "the database has {} MiB of a quota of {} MiB{of}",
        mib(status.db_size),
        mib(quota)
    );
    // In a full one no process gets a lock.
    if status.db_size / 4 > quota / 5 {
        let remedy = "compaction (--auto-compaction-retention), then etcdctl defrag";
        return Finding::new(Severity::Warning, topic, seen).with_remedy(remedy);
    }
    good(topic, &seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_with_known_bugs_are_named() {
        for (version, severity) in [
            ("3.4.23", Severity::Warning),
            ("3.4.30", Severity::Good),
            ("3.5.1", Severity::Broken),
            ("3.5.11", Severity::Warning),
            ("3.5.16", Severity::Good),
            ("3.6.0-rc.1", Severity::Good),
            ("3.3.27", Severity::Warning),
            ("4.0.0", Severity::Unknown),
        ] {
            assert_eq!(judge_version(version).severity, severity, "{version}");
        }
    }

    #[test]
    fn one_member_is_a_limit_and_an_even_number_too() {
        let members = |count| Ok(vec![Member::default(); count]);
        for (count, severity) in [
            (0, Severity::Unknown),
            (1, Severity::Limit),
            (2, Severity::Limit),
            (3, Severity::Good),
        ] {
            assert_eq!(judge_members(&members(count)).severity, severity, "{count}");
        }
    }

    #[test]
    fn a_database_that_is_nearly_full_is_told() {
        let status = |db_size, db_size_quota| StatusResponse {
            db_size,
            db_size_quota,
            ..StatusResponse::default()
        };
        let severity = |size, quota| judge_size(&status(size, quota)).severity;
        assert_eq!(severity(1 << 30, 0), Severity::Good);
        assert_eq!(severity(1900 << 20, 0), Severity::Warning);
        assert_eq!(severity(1900 << 20, 8 << 30), Severity::Good);
    }
}
