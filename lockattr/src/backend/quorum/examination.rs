//! What the servers of a quorum say of themselves, and what follows for all of them.

use futures_util::future::join_all;

use super::majority::majority;
use crate::backend::Examination;
use crate::diagnosis::{self, Diagnosis, Finding, Severity, Topic};

pub(super) fn examine(names: Vec<String>, asked: Vec<Examination>) -> Examination {
    Box::pin(async move { judge(&names, &join_all(asked).await) })
}

fn judge(names: &[String], seen: &[Diagnosis]) -> Diagnosis {
    let count = names.len();
    let majority = majority(count);
    let is_broken = |found: &&Diagnosis| found.worst() == Severity::Broken;
    let broken = seen.iter().filter(is_broken).count();
    let mut by_server = Vec::new();
    for (name, found) in names.iter().zip(seen) {
        by_server.extend(found.findings().iter().map(|finding| {
            let mut finding = finding.clone().at(name);
            if count - broken >= majority {
                // The others are a majority without it.
                finding.severity = finding.severity.min(Severity::Warning);
            }
            finding
        }));
    }
    let mut all = Diagnosis::of(format!("a quorum of {count} servers, each {}", kinds(seen)));
    if let Some(took) = nth_round_trip(seen, majority) {
        all = all.with_round_trip(took);
    }
    all = all.with(of_majority(count, majority));
    all = twins(names, seen).into_iter().fold(all, Diagnosis::with);
    let merged = diagnosis::merge(&by_server, count);
    merged.into_iter().fold(all, Diagnosis::with)
}

/// Returns what the servers are, once each.
fn kinds(seen: &[Diagnosis]) -> String {
    let mut kinds: Vec<&str> = Vec::new();
    for found in seen {
        if !kinds.contains(&found.deployment()) {
            kinds.push(found.deployment());
        }
    }
    kinds.join(", or ")
}

/// A grant takes as long as the slowest of the fastest majority.
fn nth_round_trip(seen: &[Diagnosis], majority: usize) -> Option<std::time::Duration> {
    let mut took: Vec<_> = seen.iter().filter_map(Diagnosis::round_trip).collect();
    took.sort_unstable();
    took.get(majority - 1).or(took.last()).copied()
}

fn of_majority(count: usize, majority: usize) -> Finding {
    let spare = count - majority;
    let said = format!("{majority} of {count} servers are needed: {spare} may be away");
    if count.is_multiple_of(2) {
        let said = format!("{said}, as of {}", count - 1);
        return Finding::new(Severity::Limit, Topic::Deployment, said)
            .with_remedy("an odd number of servers");
    }
    Finding::new(Severity::Good, Topic::Deployment, said)
}

/// One server under several names has several votes.
fn twins(names: &[String], seen: &[Diagnosis]) -> Vec<Finding> {
    let mut found = Vec::new();
    for (place, one) in seen.iter().enumerate() {
        let same =
            |other: &Diagnosis| one.identity().is_some() && other.identity() == one.identity();
        if let Some(other) = seen[place + 1..].iter().position(same) {
            let other = &names[place + 1 + other];
            let said = format!(
                "{} and {other} are one server, which has two votes",
                names[place]
            );
            let finding = Finding::new(Severity::Broken, Topic::Deployment, said);
            found.push(finding.with_remedy("name each server once"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::Severity::{Broken, Good, Warning};
    use super::*;

    fn names() -> Vec<String> {
        ["a", "b", "c"].map(str::to_owned).to_vec()
    }

    fn server(identity: &str, severity: Severity) -> Diagnosis {
        let finding = Finding::new(severity, Topic::Rights, "rights");
        Diagnosis::of("one server, Redis 7")
            .with_identity(Some(identity))
            .with(finding)
    }

    #[test]
    fn a_majority_suffices() {
        let all = |severities: [Severity; 3]| {
            let seen = ["1", "2", "3"].iter().zip(severities);
            let seen: Vec<_> = seen.map(|(id, severity)| server(id, severity)).collect();
            judge(&names(), &seen)
        };
        assert_eq!(all([Good, Good, Good]).worst(), Good);
        assert_eq!(all([Good, Broken, Good]).worst(), Warning);
        assert_eq!(all([Good, Broken, Broken]).worst(), Broken);
    }

    #[test]
    fn a_server_under_two_names_is_no_quorum() {
        let seen = [
            server("1", Severity::Good),
            server("2", Severity::Good),
            server("1", Severity::Good),
        ];
        let found = judge(&names(), &seen).to_string();
        assert!(found.contains("a and c are one server"), "{found}");
        assert!(found.contains("BROKEN"), "{found}");
    }
}
