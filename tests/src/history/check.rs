//! The rules that a history is checked against.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use lockattr::Mode;

use super::calls::{Call, Calls, Section, Write};
use super::{Event, Record};
use super::{excerpt, order, together};

/// The rules that do not hold for every history.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// No holders of a key are within their validity that keep each other out. Expected as long as the server keeps its
    /// data and its clock.
    pub exclusion: bool,
    /// A call that asks after a grant gets a greater token. This does not hold where the server
    /// loses its data while a process passes its lease on among its own calls, under older tokens:
    /// then the fenced store refuses them.
    pub tokens: bool,
    /// How much longer than its `wait` a call may take, besides the time for which its process was
    /// stopped.
    pub margin: Duration,
    /// Calls of one process that want a key alone are served in their order. Calls that want several keys
    /// give their place up.
    pub order: bool,
    /// How many turns other processes may have while one waits in the server's queue. Expected
    /// without disturbances only: a lost connection costs the place in the queue.
    pub turns: Option<usize>,
}

/// Something that must not happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which rule it breaks.
    pub rule: &'static str,
    /// The part of the history that shows it.
    pub excerpt: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.rule, self.excerpt)
    }
}

/// The counts of a history.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Calls that began.
    pub requests: usize,
    /// Calls that got their key.
    pub grants: usize,
    /// Calls that were dropped.
    pub cancelled: usize,
    /// Calls that ended with an error of the lock service.
    pub unserved: usize,
    /// Bodies that were left after their lease was over.
    pub overdue: usize,
    /// Bodies of one key that ran at the same time, whether or not their leases were valid.
    pub concurrent: usize,
    /// The part of those with both leases valid.
    pub both_valid: usize,
    /// Writes that the fenced store accepted.
    pub accepted: usize,
    /// Writes that the fenced store refused, because it had seen a greater token.
    pub rejected: usize,
}

impl std::ops::AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.grants += other.grants;
        self.cancelled += other.cancelled;
        self.unserved += other.unserved;
        self.overdue += other.overdue;
        self.concurrent += other.concurrent;
        self.both_valid += other.both_valid;
        self.accepted += other.accepted;
        self.rejected += other.rejected;
    }
}

/// The result of a check.
#[derive(Debug)]
pub struct Verdict {
    /// What happened.
    pub summary: Summary,
    /// The first violation of each rule.
    pub violations: Vec<Violation>,
}

/// Checks a history; `stored` is the number of writes to each key that the fenced store counted.
#[must_use]
pub fn check(records: &[Record], stored: &BTreeMap<u32, u64>, rules: &Rules) -> Verdict {
    let calls = Calls::of(records);
    let sections = calls.sections();
    let mut summary = summary(&calls);
    let is_unserved = |it: &&Record| matches!(&it.event, Event::Failed(why) if why == "backend");
    summary.unserved = records.iter().filter(is_unserved).count();
    let mut violations = Vec::new();
    let mut broken = |rule, calls: &[&Call]| {
        violations.push(Violation {
            rule,
            excerpt: excerpt::of_calls(records, calls),
        });
    };

    let overlaps: Vec<_> = sections
        .values()
        .flat_map(|s| together::overlaps(s))
        .collect();
    summary.concurrent = overlaps.len();
    let by_validity = |(earlier, later): &(&Call, &Call)| both_valid(earlier, later);
    summary.both_valid = overlaps.iter().filter(|pair| by_validity(pair)).count();
    if rules.exclusion
        && let Some((earlier, later)) = overlaps.into_iter().find(by_validity)
    {
        broken(
            "exclusion: valid leases of one key that keep each other out",
            &[earlier, later],
        );
    }
    if rules.tokens
        && let Some((earlier, later)) = token_regression(&calls, rules.exclusion)
    {
        broken(
            "fencing: tokens do not grow in the order of the grants",
            &[earlier, later],
        );
    }
    if let Some((one, other)) = repeated_token(&calls) {
        broken("fencing: a token was given out twice", &[one, other]);
    }
    if let Some((one, other)) = together::half_granted(&calls) {
        broken("together: a call got one of its two keys", &[one, other]);
    }
    if let Some(call) = late_answer(&calls, rules.margin) {
        broken(
            "waiting: not answered within its wait and the margin",
            &[call],
        );
    }
    if rules.order
        && let Some((first, second)) = sections.values().find_map(|s| order::overtaken_at_home(s))
    {
        broken(
            "order: overtaken by a later call of its own process",
            &[first, second],
        );
    }
    if let Some(turns) = rules.turns
        && let Some(call) = order::passed_over(&calls, turns)
    {
        broken(
            "order: other processes had too many turns meanwhile",
            &[call],
        );
    }
    for (key, sections) in &sections {
        let stored = stored.get(key).copied().unwrap_or(0);
        if let Some(lost) = lost_update(sections, stored) {
            violations.push(Violation {
                rule: "resource: the fenced store is corrupted",
                excerpt: format!("key {key}: {lost}"),
            });
        }
    }
    Verdict {
        summary,
        violations,
    }
}

fn summary(calls: &Calls) -> Summary {
    let sections = || calls.all.iter().filter_map(|call| call.section.as_ref());
    let writes = |kind| sections().filter(|section| section.write == kind).count();
    Summary {
        requests: calls.all.len(),
        grants: sections().count(),
        cancelled: calls.all.iter().filter(|call| call.cancelled).count(),
        overdue: sections().filter(|s| s.left > s.valid_until).count(),
        accepted: writes(Write::Accepted),
        rejected: writes(Write::Rejected),
        ..Summary::default()
    }
}

fn both_valid(earlier: &Call, later: &Call) -> bool {
    match (&earlier.section, &later.section) {
        (Some(earlier), Some(later)) => {
            earlier.held_until() > later.entered && later.valid_until > later.entered
        }
        _ => false,
    }
}

/// A call that asked after a grant must get a greater token. With exclusion, tokens also grow in
/// the order of the grants, as far as the leases were still valid then: a process that was stopped
/// may record its grant long after. Of holders that are let in together, either may record it first.
fn token_regression(calls: &Calls, exclusion: bool) -> Option<(&Call, &Call)> {
    enum Moment {
        Requested,
        Granted,
    }
    let mut moments = Vec::new();
    for call in &calls.all {
        if let Some(section) = &call.section {
            moments.push((call.requested, Moment::Requested, call, section));
            moments.push((section.entered, Moment::Granted, call, section));
        }
    }
    moments.sort_by_key(|(at, ..)| *at);
    let mut greatest: HashMap<u32, (u64, &Call)> = HashMap::new();
    let mut greatest_exclusive: HashMap<u32, (u64, &Call)> = HashMap::new();
    let mut before_request: HashMap<(u32, u64), (u64, &Call)> = HashMap::new();
    for (_, moment, call, section) in moments {
        let known = greatest.get(&call.key).copied();
        match moment {
            Moment::Requested => {
                before_request.extend(known.map(|known| ((call.process, call.id), known)));
            }
            Moment::Granted => {
                let was_valid = section.valid_until > section.entered;
                let asked_after = before_request.get(&(call.process, call.id)).copied();
                let bounds = match call.mode {
                    _ if !(exclusion && was_valid) => [asked_after, None],
                    Mode::Exclusive => [known, None],
                    _ => [asked_after, greatest_exclusive.get(&call.key).copied()],
                };
                let mut bounds = bounds.into_iter().flatten();
                if let Some((_, earlier)) = bounds.find(|(token, _)| *token >= section.token) {
                    return Some((earlier, call));
                }
                let counts = was_valid || !exclusion;
                if counts && known.is_none_or(|(token, _)| token < section.token) {
                    greatest.insert(call.key, (section.token, call));
                    if call.mode == Mode::Exclusive {
                        greatest_exclusive.insert(call.key, (section.token, call));
                    }
                }
            }
        }
    }
    None
}

fn repeated_token(calls: &Calls) -> Option<(&Call, &Call)> {
    let mut seen: HashMap<(u32, u64), &Call> = HashMap::new();
    calls.all.iter().find_map(|call| {
        let token = call.section.as_ref()?.token;
        seen.insert((call.key, token), call)
            .map(|earlier| (earlier, call))
    })
}

fn late_answer(calls: &Calls, margin: Duration) -> Option<&Call> {
    calls.all.iter().find(|call| {
        let life = &calls.lives[&call.process];
        let answered = call.answered();
        if answered.is_none() && !life.killed {
            return true;
        }
        let until = answered.unwrap_or(life.end);
        let took = until
            .saturating_sub(call.requested)
            .saturating_sub(life.paused_within(call.requested, until));
        Duration::from_nanos(took) > call.wait.saturating_add(margin)
    })
}

/// Every holder adds one to the value it has read, so the end value shows each accepted write.
fn lost_update(sections: &[(&Call, &Section)], stored: u64) -> Option<String> {
    let count = |kind| -> u64 {
        let writes = sections.iter().filter(|(_, section)| section.write == kind);
        writes.count().try_into().expect("not that many")
    };
    let (accepted, unknown) = (count(Write::Accepted), count(Write::Unknown));
    let is_sound = (accepted..=accepted + unknown).contains(&stored);
    (!is_sound).then(|| {
        format!("{accepted} writes were accepted and {unknown} unknown, but it was written {stored} times")
    })
}
