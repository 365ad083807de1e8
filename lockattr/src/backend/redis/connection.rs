//! One connection, and what it owes.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;

use super::scripts::Known;
use super::stream::Address;
#[cfg(feature = "metrics")]
use crate::metrics::connection as metrics;

/// So far ahead that it is never.
pub(super) const FAR: Duration = Duration::from_secs(24 * 60 * 60);

/// A connection; its socket is closed with this value, whatever is still asked by it.
pub(super) struct Connection {
    pub(super) shared: MultiplexedConnection,
    pub(super) generation: u64,
    /// Which server it leads to, where that may change.
    pub(super) server: Option<Address>,
    /// How long the server takes for an answer, at best.
    pub(super) round_trip: Duration,
    pub(super) known: Known,
    driver: AbortHandle,
    pub(super) unanswered: usize,
    /// How long the server may keep the answers back, to confirm them.
    pub(super) blocks_for: Duration,
    /// Since when nothing has come, or nothing was asked before.
    pub(super) silent_since: Instant,
    /// When silence was noticed; what was to be read by then has a moment to be read.
    pub(super) noticed: Option<Instant>,
}

impl Connection {
    pub(super) fn new(
        shared: MultiplexedConnection,
        generation: u64,
        driver: &JoinHandle<()>,
    ) -> Self {
        #[cfg(feature = "metrics")]
        metrics::opened();
        Self {
            shared,
            generation,
            server: None,
            round_trip: FAR,
            known: Known::default(),
            driver: driver.abort_handle(),
            unanswered: 0,
            blocks_for: Duration::ZERO,
            silent_since: Instant::now(),
            noticed: None,
        }
    }

    pub(super) fn sent(&mut self) {
        if self.unanswered == 0 {
            self.hears();
        }
        self.unanswered += 1;
        #[cfg(feature = "metrics")]
        metrics::asked();
    }

    pub(super) fn answered(&mut self) {
        #[cfg(feature = "metrics")]
        metrics::answered(self.unanswered.min(1));
        self.unanswered = self.unanswered.saturating_sub(1);
        self.hears();
    }

    /// Whether an answer is awaited.
    pub(super) fn is_asked(&self) -> bool {
        self.unanswered > 0
    }

    /// Something has come.
    pub(super) fn hears(&mut self) {
        self.silent_since = Instant::now();
        self.noticed = None;
    }

    /// Whether an answer is late already, so that the next connection is worth having.
    pub(super) fn is_late(&self, patience: Duration) -> bool {
        self.unanswered > 0 && self.silent_since.elapsed() >= self.suspicious_after(patience)
    }

    /// A quarter of the patience, and longer than an answer takes anyway.
    pub(super) fn suspicious_after(&self, patience: Duration) -> Duration {
        (patience / 4).max(self.round_trip.saturating_mul(2)) + self.blocks_for
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
        #[cfg(feature = "metrics")]
        metrics::closed(self.unanswered);
    }
}
