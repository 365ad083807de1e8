//! Waiting for a condition instead of for time.

use std::time::{Duration, Instant};

/// Longer than any of these conditions takes on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_millis(5);

/// Blocks until the condition holds.
///
/// # Panics
///
/// When it does not within 20 s.
#[track_caller]
pub fn eventually(what: &str, condition: impl FnMut() -> bool) {
    assert!(
        is_soon(PATIENCE, condition),
        "not within {PATIENCE:?}: {what}"
    );
}

/// Blocks until the condition holds, or so much time has passed. Returns whether it holds.
pub(crate) fn is_soon(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < patience {
        if condition() {
            return true;
        }
        std::thread::sleep(STEP);
    }
    condition()
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
