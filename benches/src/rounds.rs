//! Interleaved rounds of two candidates.

use std::time::{Duration, Instant};

const ROUNDS: usize = 9;

/// The medians of both candidates, and the median of the rounds' ratios.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Comparison {
    pub(crate) baseline: Duration,
    pub(crate) ours: Duration,
    pub(crate) ratio: f64,
}

/// Runs both in turn. Each candidate gives the time of one call.
pub(crate) async fn compare<A, B>(
    mut baseline: impl FnMut() -> A,
    mut ours: impl FnMut() -> B,
) -> Comparison
where
    A: Future<Output = Duration>,
    B: Future<Output = Duration>,
{
    // Once to warm up: scripts are loaded, connections and caches are warm.
    baseline().await;
    ours().await;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push((baseline().await, ours().await));
    }
    Comparison {
        baseline: median(rounds.iter().map(|round| round.0)),
        ours: median(rounds.iter().map(|round| round.1)),
        ratio: median(
            rounds
                .iter()
                .map(|round| round.1.as_secs_f64() / round.0.as_secs_f64()),
        ),
    }
}

/// The time of one call, with `tasks` of them at a time and `calls` in each task.
pub(crate) async fn time_per_call<F>(tasks: u32, calls: u32, call: impl Fn(u32) -> F) -> Duration
where
    F: Future<Output = ()> + Send + 'static,
{
    let start = Instant::now();
    let running: Vec<_> = (0..tasks).map(|task| tokio::spawn(call(task))).collect();
    for task in running {
        task.await.expect("a benchmark does not panic");
    }
    start.elapsed() / (tasks * calls)
}

fn median<T: PartialOrd + Copy>(values: impl Iterator<Item = T>) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort_by(|a, b| a.partial_cmp(b).expect("times can be compared"));
    values[values.len() / 2]
}
