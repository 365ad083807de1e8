//! The checks find every violation, and nothing in a correct history.

use std::collections::BTreeMap;
use std::time::Duration;

use lockattr::Mode;

use super::{Event, Record, Rules, Verdict, check};

const RULES: Rules = Rules {
    exclusion: true,
    tokens: true,
    margin: Duration::from_millis(50),
    order: true,
    turns: Some(1),
};

/// A history in milliseconds.
#[derive(Default)]
struct History(Vec<Record>);

impl History {
    fn then(mut self, at: u64, process: u32, call: u64, event: Event) -> Self {
        self.0.push(Record {
            at: at * 1_000_000,
            process,
            call,
            event,
        });
        self
    }

    fn requested(self, at: u64, process: u32, call: u64) -> Self {
        self.requested_in(Mode::Exclusive, at, process, call)
    }

    fn requested_in(self, mode: Mode, at: u64, process: u32, call: u64) -> Self {
        let wait = Duration::from_millis(100);
        let key = 7;
        self.then(at, process, call, Event::Requested { key, wait, mode })
    }

    /// Adds a call that has the key from `at` on, in this mode.
    fn held(self, mode: Mode, at: u64, until: u64, call: u64, token: u64) -> Self {
        self.requested_in(mode, at, 1, call)
            .granted(at, 1, call, token)
            .over(until, 1, call)
    }

    fn granted(self, at: u64, process: u32, call: u64, token: u64) -> Self {
        let valid_until = (at + 100) * 1_000_000;
        self.then(at, process, call, Event::Granted { token, valid_until })
    }

    fn over(self, at: u64, process: u32, call: u64) -> Self {
        self.then(at, process, call, Event::Left)
            .then(at, process, call, Event::Released)
    }

    /// Adds a call that asks, is granted and releases within ten milliseconds.
    fn turn(self, at: u64, process: u32, call: u64, token: u64) -> Self {
        self.requested(at, process, call)
            .granted(at + 1, process, call, token)
            .over(at + 9, process, call)
    }

    fn verdict(&self, rules: &Rules) -> Verdict {
        let mut records = self.0.clone();
        records.sort_by_key(|record| record.at);
        let reread: Vec<Record> = records
            .iter()
            .map(|record| record.to_string().parse().expect("its own form"))
            .collect();
        assert_eq!(reread, records);
        check(&records, &BTreeMap::new(), rules)
    }

    #[track_caller]
    fn sound(&self) {
        assert_eq!(self.verdict(&RULES).violations, []);
    }

    #[track_caller]
    fn breaks(&self, rule: &str) -> String {
        let found = self.verdict(&RULES).violations;
        let violation = found.iter().find(|found| found.rule.starts_with(rule));
        let Some(violation) = violation else {
            panic!("no breach of '{rule}': {found:?}")
        };
        violation.to_string()
    }
}

#[test]
fn a_sound_history_is_sound() {
    History::default()
        .turn(0, 1, 1, 10)
        .turn(10, 2, 1, 11)
        .turn(20, 1, 2, 12)
        .sound();
}

#[test]
fn readers_overlap_with_readers_only() {
    use Mode::{Exclusive, Shared};
    History::default()
        .held(Shared, 0, 20, 1, 10)
        .held(Shared, 5, 30, 2, 11)
        .held(Exclusive, 31, 40, 3, 12)
        .held(Shared, 41, 50, 4, 13)
        .sound();
    History::default()
        .held(Shared, 0, 20, 1, 10)
        .held(Shared, 5, 9, 2, 11)
        .held(Exclusive, 15, 18, 3, 12)
        .breaks("exclusion");
    History::default()
        .held(Exclusive, 0, 20, 1, 10)
        .held(Shared, 5, 30, 2, 11)
        .breaks("exclusion");
    History::default()
        .held(Shared, 0, 20, 1, 12)
        .held(Exclusive, 21, 30, 2, 11)
        .breaks("fencing");
    History::default()
        .held(Exclusive, 0, 20, 1, 12)
        .held(Shared, 21, 30, 2, 11)
        .breaks("fencing");
}

#[test]
fn no_more_permits_than_there_are() {
    let of_three = |weight| Mode::permits(3, weight);
    History::default()
        .held(of_three(1), 0, 20, 1, 10)
        .held(of_three(2), 5, 30, 2, 11)
        .held(of_three(1), 21, 40, 3, 12)
        .sound();
    History::default()
        .held(of_three(1), 0, 20, 1, 10)
        .held(of_three(2), 5, 30, 2, 11)
        .held(of_three(1), 19, 40, 3, 12)
        .breaks("exclusion");
    History::default()
        .held(of_three(1), 0, 20, 1, 10)
        .held(Mode::permits(4, 1), 5, 30, 2, 11)
        .breaks("exclusion");
}

#[test]
fn two_keys_are_granted_together() {
    use super::OF_OTHER_KEY;
    let both = History::default()
        .requested(0, 1, 1)
        .requested(0, 1, 1 + OF_OTHER_KEY)
        .granted(1, 1, 1, 10);
    both.breaks("together");
}

#[test]
fn two_valid_leases_are_found_and_shown() {
    let text = History::default()
        .turn(0, 3, 9, 5)
        .requested(10, 1, 1)
        .granted(11, 1, 1, 10)
        .then(15, 0, 0, Event::Fault("proxy 1: cut".to_owned()))
        .requested(20, 2, 1)
        .granted(21, 2, 1, 11)
        .over(30, 2, 1)
        .over(40, 1, 1)
        .breaks("exclusion");
    assert!(text.contains("process 1 call 1       granted with token 10, valid until 101.000 ms"));
    assert!(text.contains("fault proxy 1: cut"));
    assert!(!text.contains("process 3"), "the shortest excerpt:\n{text}");
}

#[test]
fn an_overlap_is_found_also_behind_a_short_section() {
    let history = History::default()
        .requested(0, 1, 1)
        .granted(1, 1, 1, 10)
        .requested(2, 2, 1)
        .granted(3, 2, 1, 11)
        .over(4, 2, 1)
        .requested(5, 3, 1)
        .granted(6, 3, 1, 12)
        .over(7, 3, 1)
        .over(50, 1, 1);
    history.breaks("exclusion");
    assert_eq!(history.verdict(&RULES).summary.both_valid, 2);
}

#[test]
fn a_body_that_outlives_its_lease_is_no_breach_but_counts() {
    let history = History::default()
        .requested(0, 1, 1)
        .granted(1, 1, 1, 10)
        .requested(50, 2, 1)
        .granted(110, 2, 1, 11)
        .over(120, 2, 1)
        .over(130, 1, 1);
    history.sound();
    let summary = history.verdict(&RULES).summary;
    assert_eq!(
        (summary.concurrent, summary.both_valid, summary.overdue),
        (1, 0, 1)
    );
}

#[test]
fn a_killed_process_holds_nothing_any_longer() {
    History::default()
        .requested(0, 1, 1)
        .granted(1, 1, 1, 10)
        .then(20, 1, 0, Event::Killed)
        .turn(30, 2, 1, 11)
        .sound();
}

#[test]
fn a_renewed_lease_is_valid_for_longer() {
    let valid_until = 300_000_000;
    History::default()
        .requested(0, 1, 1)
        .granted(1, 1, 1, 10)
        .then(50, 1, 1, Event::Seen { valid_until })
        .requested(140, 2, 1)
        .granted(150, 2, 1, 11)
        .over(160, 2, 1)
        .over(200, 1, 1)
        .breaks("exclusion");
}

#[test]
fn tokens_that_shrink_or_repeat_are_found() {
    let history = History::default().turn(0, 1, 1, 10).turn(10, 2, 1, 9);
    history.breaks("fencing: tokens do not grow");
    let history = History::default().turn(0, 1, 1, 10).turn(10, 2, 1, 10);
    history.breaks("fencing: a token was given out twice");
    // Without exclusion the rule applies only to calls that asked after the grant.
    let crossing = History::default()
        .requested(0, 2, 1)
        .turn(1, 1, 1, 10)
        .granted(20, 2, 1, 9)
        .over(21, 2, 1);
    let rules = Rules {
        exclusion: false,
        ..RULES
    };
    assert_eq!(crossing.verdict(&rules).violations, []);
    crossing.breaks("fencing");
}

#[test]
fn calls_answered_late_or_never_are_found() {
    History::default()
        .requested(0, 1, 1)
        .turn(0, 2, 1, 10)
        .breaks("waiting");
    let late = || History::default().requested(0, 1, 1).granted(160, 1, 1, 10);
    late().over(161, 1, 1).breaks("waiting");
    late()
        .then(10, 1, 0, Event::Paused)
        .then(30, 1, 0, Event::Resumed)
        .over(161, 1, 1)
        .sound();
    History::default()
        .requested(0, 1, 1)
        .then(90, 1, 0, Event::Killed)
        .sound();
}

#[test]
fn overtaking_is_found() {
    History::default()
        .requested(0, 1, 1)
        .requested(1, 1, 2)
        .granted(2, 1, 2, 10)
        .over(3, 1, 2)
        .granted(4, 1, 1, 11)
        .over(5, 1, 1)
        .breaks("order: overtaken");
    let turns = |first: u64, last: u64| {
        let mut history = History::default().requested(0, 1, 1);
        history = history.then(first, 1, 0, Event::Queued { key: 7 });
        history = history.then(first, 1, 0, Event::Queued { key: 8 });
        for turn in 0..last {
            history = history.turn(3 + turn * 10, 2 + u32::try_from(turn).unwrap(), 1, turn + 1);
        }
        history.granted(60, 1, 1, 99).over(61, 1, 1)
    };
    turns(1, 1).sound();
    let text = turns(1, 2).breaks("order: other processes");
    assert!(
        text.contains("queued for key 7") && !text.contains("key 8"),
        "{text}"
    );
    // Not in the queue yet when the first of them had its turn.
    turns(5, 2).sound();
    turns(5, 3).breaks("order: other processes");
}

#[test]
fn a_corrupted_store_is_found() {
    let written = |accepted| {
        History::default()
            .requested(0, 1, 1)
            .granted(1, 1, 1, 10)
            .then(2, 1, 1, Event::Writing)
            .then(3, 1, 1, Event::Written { accepted })
            .over(4, 1, 1)
    };
    let verdict = |history: History, stored| {
        check(&history.0, &BTreeMap::from([(7, stored)]), &RULES).violations
    };
    assert_eq!(verdict(written(true), 1), []);
    assert_eq!(verdict(written(false), 0), []);
    assert!(verdict(written(true), 0)[0].rule.starts_with("resource"));
    assert!(verdict(written(false), 1)[0].rule.starts_with("resource"));
    let unknown = History::default()
        .requested(0, 1, 1)
        .granted(1, 1, 1, 10)
        .then(2, 1, 1, Event::Writing)
        .then(3, 1, 0, Event::Killed);
    assert_eq!(
        check(&unknown.0, &BTreeMap::from([(7, 1)]), &RULES).violations,
        []
    );
}
