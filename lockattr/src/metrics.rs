//! What the [`metrics`](::metrics) facade is told: the names, units and labels that docs/observability.md lists.
//!
//! The labels say which function asked, and for which keys as a template: never a filled-in key, of which
//! there may be as many as there are orders.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::metrics::{
    Label as Pair, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

use crate::LossReason;
use crate::label::Label;

const ACQUIRE: &str = "lockattr_acquire_seconds";
const WAIT: &str = "lockattr_wait_seconds";
const HOLD: &str = "lockattr_hold_seconds";
const BUSY: &str = "lockattr_busy_total";
const LOST: &str = "lockattr_lost_total";
const MISSED: &str = "lockattr_missed_total";
const RENEWALS_FAILED: &str = "lockattr_renewals_failed_total";
const PASSED_ON: &str = "lockattr_passed_on_total";
const LATE_RELEASES: &str = "lockattr_late_releases_total";
const HELD: &str = "lockattr_held";
const WAITING: &str = "lockattr_waiting";
const IN_FLIGHT: &str = "lockattr_requests_in_flight";
const CONNECTIONS: &str = "lockattr_connections_up";
const CLOCK: &str = "lockattr_clock_difference_seconds";

/// Describes all metrics to the recorder.
pub(crate) fn describe() {
    for (name, text) in [
        (
            ACQUIRE,
            "from a call's request to its lease, or to its error",
        ),
        (WAIT, "the same, of calls that found their key held"),
        (
            HOLD,
            "from the moment that a call has its lease to the end of its use",
        ),
    ] {
        describe_histogram!(name, Unit::Seconds, text);
    }
    for (name, text) in [
        (BUSY, "calls refused because another one had the key"),
        (LOST, "leases lost while they were held"),
        (
            MISSED,
            "leases that went on because nothing polled their call's future",
        ),
        (RENEWALS_FAILED, "renewals that failed and were tried again"),
        (
            PASSED_ON,
            "leases passed on inside a process, without a request",
        ),
        (
            LATE_RELEASES,
            "releases that failed at first, or were never confirmed",
        ),
    ] {
        describe_counter!(name, Unit::Count, text);
    }
    for (name, text) in [
        (HELD, "leases that are in use"),
        (WAITING, "calls that wait for their lease"),
        (IN_FLIGHT, "requests whose answer is awaited"),
        (CONNECTIONS, "connections to the lock service"),
    ] {
        describe_gauge!(name, Unit::Count, text);
    }
    let clock = "how far the lock service's clock is ahead of this machine's";
    describe_gauge!(CLOCK, Unit::Seconds, clock);
}

/// How an acquisition ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    Acquired,
    Busy,
    Failed,
    /// The caller is gone.
    Cancelled,
}

/// What is known of one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured<'a> {
    pub(crate) label: Label,
    pub(crate) has_waited: &'a AtomicBool,
}

impl Measured<'_> {
    fn labels(self) -> Vec<Pair> {
        match self.label {
            Label::Function(function) => vec![
                Pair::from_static_parts("lock", function.keys),
                Pair::from_static_parts("function", function.path),
            ],
            Label::Named(name) => vec![
                Pair::from_static_parts("lock", ""),
                Pair::from_static_parts("function", name),
            ],
            Label::Place(_) => vec![
                Pair::from_static_parts("lock", ""),
                Pair::new("function", self.label.to_string()),
            ],
        }
    }

    fn labels_and(self, name: &'static str, value: &'static str) -> Vec<Pair> {
        let mut labels = self.labels();
        labels.push(Pair::from_static_parts(name, value));
        labels
    }

    /// The key is held by another call.
    pub(crate) fn waits(self) {
        self.has_waited.store(true, Ordering::Relaxed);
    }

    pub(crate) fn asks(self) {
        gauge!(WAITING, self.labels()).increment(1);
    }

    pub(crate) fn answered(self, outcome: Outcome, after: Duration) {
        gauge!(WAITING, self.labels()).decrement(1);
        let text = match outcome {
            Outcome::Acquired => "acquired",
            Outcome::Busy => "busy",
            Outcome::Failed => "failed",
            Outcome::Cancelled => "cancelled",
        };
        let labels = self.labels_and("outcome", text);
        if self.has_waited.load(Ordering::Relaxed) {
            histogram!(WAIT, labels.clone()).record(after);
        }
        histogram!(ACQUIRE, labels).record(after);
        if let Outcome::Busy = outcome {
            counter!(BUSY, self.labels()).increment(1);
        }
    }

    pub(crate) fn holds(self) {
        gauge!(HELD, self.labels()).increment(1);
    }

    pub(crate) fn finished(self, after: Duration) {
        self.undelivered();
        histogram!(HOLD, self.labels()).record(after);
    }

    /// The lease did not reach its caller.
    pub(crate) fn undelivered(self) {
        gauge!(HELD, self.labels()).decrement(1);
    }

    pub(crate) fn lost(self, reason: LossReason) {
        let text = match reason {
            LossReason::Expired => "expired",
            LossReason::Gone => "gone",
            LossReason::MaxHold => "max_hold",
            LossReason::Shutdown => "shutdown",
            LossReason::Panicked => "panicked",
            LossReason::Released => "released",
        };
        counter!(LOST, self.labels_and("reason", text)).increment(1);
    }

    pub(crate) fn missed(self) {
        counter!(MISSED, self.labels()).increment(1);
    }

    pub(crate) fn renewal_failed(self) {
        counter!(RENEWALS_FAILED, self.labels()).increment(1);
    }

    pub(crate) fn passed_on(self) {
        counter!(PASSED_ON, self.labels()).increment(1);
    }

    pub(crate) fn released_late(self) {
        counter!(LATE_RELEASES, self.labels()).increment(1);
    }
}

#[cfg(feature = "redis")]
pub(crate) mod connection {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use super::{CLOCK, CONNECTIONS, IN_FLIGHT, gauge};

    pub(crate) fn opened() {
        gauge!(CONNECTIONS).increment(1);
    }

    /// So many answers will not come.
    pub(crate) fn closed(unanswered: usize) {
        gauge!(CONNECTIONS).decrement(1);
        answered(unanswered);
    }

    pub(crate) fn asked() {
        gauge!(IN_FLIGHT).increment(1);
    }

    pub(crate) fn answered(requests: usize) {
        // More than 2^52 requests are never in flight.
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        gauge!(IN_FLIGHT).decrement(requests as f64);
    }

    /// An answer came with the server's time in microseconds, after a round trip of this length: it was
    /// read about halfway.
    pub(crate) fn showed_its_clock(micros: u64, round_trip: Duration) {
        let ours = SystemTime::now().duration_since(UNIX_EPOCH);
        let ours = ours.unwrap_or_default().saturating_sub(round_trip / 2);
        let theirs = Duration::from_micros(micros);
        gauge!(CLOCK).set(theirs.as_secs_f64() - ours.as_secs_f64());
    }
}
