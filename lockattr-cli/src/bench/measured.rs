//! The times of acquires and releases.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Longer times count as this.
const LONGEST: Duration = Duration::from_secs(600);
/// How many digits of a time are right.
const DIGITS: u8 = 3;

/// Many times, in microseconds.
#[derive(Debug)]
pub(super) struct Times(Histogram<u64>);

impl Times {
    fn new() -> Self {
        let longest = micros(LONGEST);
        Self(Histogram::new_with_max(longest, DIGITS).expect("the bounds are constants"))
    }

    fn note(&mut self, time: Duration) {
        self.0.saturating_record(micros(time).max(1));
    }

    pub(super) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(super) fn at(&self, quantile: f64) -> u64 {
        self.0.value_at_quantile(quantile)
    }

    pub(super) fn max(&self) -> u64 {
        self.0.max()
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What all tasks have measured.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) acquire: Times,
    pub(super) release: Times,
    pub(super) pair: Times,
    /// Leases that were over before they were given back.
    pub(super) lost: u64,
}

impl Measured {
    pub(super) fn new() -> Self {
        Self {
            acquire: Times::new(),
            release: Times::new(),
            pair: Times::new(),
            lost: 0,
        }
    }

    pub(super) fn note(&mut self, acquire: Duration, release: Duration, was_lost: bool) {
        self.acquire.note(acquire);
        self.release.note(release);
        self.pair.note(acquire + release);
        self.lost += u64::from(was_lost);
    }
}
