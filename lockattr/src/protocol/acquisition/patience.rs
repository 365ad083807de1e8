//! How long an acquisition waits for an answer, and when nothing of it can be left.

use std::time::Duration;

use super::Acquisition;
use crate::backend::{BackendError, BackendErrorKind};
use crate::clock::Time;
use crate::timing;

impl Acquisition {
    /// Returns how long to wait for an answer.
    pub(super) fn patience(&self) -> Duration {
        timing::patience(self.response_timeout, self.lasts)
    }

    pub(super) fn overdue(&self, round_trip: Option<Duration>) -> BackendError {
        let (patience, ttl) = (self.patience(), self.lasts);
        let mut message = format!("no answer within {patience:?}");
        if patience < self.response_timeout {
            message.push_str(&format!(
                ", the part of the ttl of {ttl:?} that one may take"
            ));
            if let Some(round_trip) = round_trip.filter(|round_trip| *round_trip > patience) {
                message.push_str(&format!("; the round trip takes {round_trip:?}"));
            }
            message.push_str("; a longer `ttl` leaves more time");
        }
        BackendError::new(BackendErrorKind::Timeout, message)
    }

    /// From when on nothing of the acquisition can be left on the server: a request that was sent
    /// is executed within the patience, or meets a tombstone.
    pub(super) fn gone_from_server(&self) -> Time {
        self.ends_at + self.patience()
    }
}
