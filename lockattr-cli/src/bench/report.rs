//! What was measured, for people and as JSON.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::measured::{Measured, Times};

pub(super) struct Report {
    pub(super) tasks: u32,
    pub(super) keys: u32,
    pub(super) took: Duration,
    /// How many of the leases did not come from the lock service.
    pub(super) passed_on: u64,
    pub(super) is_interrupted: bool,
    pub(super) measured: Measured,
}

/// The fields in JSON; they are documented in the crate's README.
#[derive(Serialize)]
pub(super) struct ReportView {
    tasks: u32,
    keys: u32,
    seconds: f64,
    interrupted: bool,
    pairs: u64,
    pairs_per_second: f64,
    passed_on: u64,
    lost: u64,
    acquire_us: TimesView,
    release_us: TimesView,
    pair_us: TimesView,
}

#[derive(Serialize)]
struct TimesView {
    p50: u64,
    p99: u64,
    max: u64,
}

impl From<&Times> for TimesView {
    fn from(times: &Times) -> Self {
        Self {
            p50: times.at(0.5),
            p99: times.at(0.99),
            max: times.max(),
        }
    }
}

impl Report {
    fn pairs_per_second(&self) -> f64 {
        // Exact up to more pairs than there will be.
        #[expect(clippy::cast_precision_loss)]
        let pairs = self.measured.pair.count() as f64;
        pairs / self.took.as_secs_f64()
    }

    pub(super) fn view(&self) -> ReportView {
        let Measured {
            acquire,
            release,
            pair,
            lost,
        } = &self.measured;
        ReportView {
            tasks: self.tasks,
            keys: self.keys,
            seconds: self.took.as_secs_f64(),
            interrupted: self.is_interrupted,
            pairs: pair.count(),
            pairs_per_second: self.pairs_per_second(),
            passed_on: self.passed_on,
            lost: *lost,
            acquire_us: acquire.into(),
            release_us: release.into(),
            pair_us: pair.into(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tasks,
            keys,
            took,
            passed_on,
            measured,
            ..
        } = self;
        writeln!(
            f,
            "{} pairs of acquire and release in {:.1} s, {:.0} a second (tasks: {tasks}, keys: {keys})",
            measured.pair.count(),
            took.as_secs_f64(),
            self.pairs_per_second(),
        )?;
        if *passed_on > 0 {
            writeln!(
                f,
                "{passed_on} of the leases were passed on inside the process, without a request"
            )?;
        }
        if measured.lost > 0 {
            writeln!(f, "{} leases were lost before their release", measured.lost)?;
        }
        write!(f, "{:<8}{:>12}{:>12}{:>12}", "", "p50", "p99", "max")?;
        for (name, times) in [
            ("acquire", &measured.acquire),
            ("release", &measured.release),
            ("pair", &measured.pair),
        ] {
            write!(f, "\n{name:<8}")?;
            for micros in [times.at(0.5), times.at(0.99), times.max()] {
                let time = format!("{}.{:03}ms", micros / 1000, micros % 1000);
                write!(f, "{time:>12}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(count: u64, passed_on: u64) -> Report {
        let mut measured = Measured::new();
        for millis in 1..=count {
            measured.note(Duration::from_millis(millis), Duration::ZERO, false);
        }
        Report {
            tasks: 4,
            keys: 2,
            took: Duration::from_secs(2),
            passed_on,
            is_interrupted: false,
            measured,
        }
    }

    #[test]
    fn a_report_says_how_fast_it_was() {
        let text = report(100, 7).to_string();
        let lines: Vec<&str> = text.lines().collect();
        let first = "100 pairs of acquire and release in 2.0 s, 50 a second (tasks: 4, keys: 2)";
        assert_eq!(lines[0], first);
        assert!(lines[1].starts_with("7 of the leases"), "{text}");
        assert!(
            lines[3].starts_with("acquire") && lines[3].ends_with(" 100.031ms"),
            "{text}"
        );
        assert_eq!(lines.len(), 6, "{text}");
        let view = serde_json::to_value(report(100, 0).view()).unwrap();
        assert_eq!(
            (&view["pairs"], &view["interrupted"]),
            (&100.into(), &false.into())
        );
        let near = |value: &serde_json::Value, expected: f64| {
            (value.as_f64().unwrap() / expected - 1.0).abs() < 0.002
        };
        assert!(near(&view["pairs_per_second"], 50.0), "{view}");
        assert!(near(&view["acquire_us"]["p50"], 50_000.0), "{view}");
        assert!(near(&view["pair_us"]["max"], 100_001.0), "{view}");
    }

    #[test]
    fn nothing_at_all_is_reported_too() {
        let text = report(0, 0).to_string();
        assert!(text.starts_with("0 pairs"), "{text}");
        assert_eq!(report(0, 0).view().pair_us.max, 0);
    }
}
