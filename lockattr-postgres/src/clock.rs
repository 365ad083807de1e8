//! The server's clock, in terms of ours.

use std::time::Duration;

use lockattr::backend::Time;

/// What our clock said before a request was sent, and what the server's said when it was executed: the second is not
/// before the first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clocks {
    sent_at: Time,
    micros: i64,
}

impl Clocks {
    pub(crate) fn new(sent_at: Time, micros: i64) -> Self {
        Self { sent_at, micros }
    }

    /// Returns a time on our clock that is not later than what the server dates so, nor in the future.
    pub(crate) fn translate(self, micros: i64) -> Time {
        let span = Duration::from_micros(micros.abs_diff(self.micros));
        let then = if micros >= self.micros {
            self.sent_at + span
        } else {
            self.sent_at.before(span)
        };
        then.min(Time::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_dates_is_dated_here() {
        let sent_at = Time::now().before(Duration::from_secs(10));
        let clocks = Clocks::new(sent_at, 5_000_000);
        assert_eq!(
            clocks.translate(7_000_000),
            sent_at + Duration::from_secs(2)
        );
        assert_eq!(
            clocks.translate(4_000_000),
            sent_at.before(Duration::from_secs(1))
        );
        assert!(clocks.translate(99_000_000) <= Time::now());
    }
}
