//! Waiting for a condition instead of for time.

use std::time::{Duration, Instant};

/// Longer than any of these conditions takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_millis(5);

/// Blocks until the condition holds.
///
/// # Panics
///
/// When it does not within 20 s.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < PATIENCE,
            "not within {PATIENCE:?}: {what}"
        );
        std::thread::sleep(STEP);
    }
}

/// Waits until the condition holds.
///
/// # Panics
///
/// When it does not within 20 s.
pub async fn eventually_async<F: Future<Output = bool>>(
    what: &str,
    mut condition: impl FnMut() -> F,
) {
    let start = Instant::now();
    while !condition().await {
        assert!(
            start.elapsed() < PATIENCE,
            "not within {PATIENCE:?}: {what}"
        );
        tokio::time::sleep(STEP).await;
    }
}
