//! Interleaved rounds: machines are noisy, but ratios of neighbouring runs are less so.

use std::time::Duration;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    /// The time of one run.
    pub(crate) run: Duration,
    pub(crate) is_quick: bool,
}

impl Effort {
    pub(crate) fn new(is_quick: bool) -> Self {
        Self {
            rounds: 5,
            run: Duration::from_millis(if is_quick { 300 } else { 3000 }),
            is_quick,
        }
    }
}

/// Runs all candidates in turn, round after round; returns the figures of each.
pub(crate) async fn interleave<C: Copy, T>(
    effort: Effort,
    candidates: &[C],
    mut run: impl AsyncFnMut(C) -> T,
) -> Vec<(C, Vec<T>)> {
    let mut all: Vec<(C, Vec<T>)> = candidates
        .iter()
        .map(|candidate| (*candidate, Vec::new()))
        .collect();
    for _ in 0..effort.rounds {
        for (candidate, figures) in &mut all {
            figures.push(run(*candidate).await);
        }
    }
    all
}

/// Returns the median of `figure` over all rounds.
pub(crate) fn median<T>(rounds: &[T], figure: impl Fn(&T) -> f64) -> f64 {
    percentile(rounds.iter().map(figure).collect(), 50)
}

pub(crate) fn percentile(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values
        .get(last * percent / 100)
        .copied()
        .unwrap_or(f64::NAN)
}
