//! Tables of what is measured side by side.

use std::fmt::Write as _;
use std::fs;

use crate::report::machine;
use crate::rounds::{Effort, interleave, median};

/// The figures of several candidates, in the order of their rounds.
pub(crate) struct Table<const N: usize> {
    title: String,
    columns: [&'static str; N],
    rows: Vec<(String, Vec<[f64; N]>)>,
}

impl<const N: usize> Table<N> {
    /// Measures all candidates in turn.
    pub(crate) async fn measure<S>(
        effort: Effort,
        title: &str,
        columns: [&'static str; N],
        candidates: &[S],
        name: impl Fn(&S) -> &'static str,
        mut measure: impl AsyncFnMut(&S) -> [f64; N],
    ) -> Self {
        println!("{title}");
        let places: Vec<usize> = (0..candidates.len()).collect();
        let measured = interleave(effort, &places, async |place| {
            measure(&candidates[place]).await
        });
        let rows = measured.await.into_iter();
        Self {
            title: title.to_owned(),
            columns,
            rows: rows
                .map(|(place, rounds)| (name(&candidates[place]).to_owned(), rounds))
                .collect(),
        }
    }

    /// Adds the ratios of the first candidate to each other one: those of the same round, which the noise of
    /// the machine spares most.
    pub(crate) fn with_ratios(mut self) -> Self {
        let (name, rounds) = &self.rows[0];
        let ratios = self.rows[1..].iter().map(|(other, others)| {
            let pairs = rounds.iter().zip(others);
            let ratios =
                pairs.map(|(one, other)| std::array::from_fn(|column| one[column] / other[column]));
            (format!("{name} / {other}"), ratios.collect())
        });
        let ratios: Vec<_> = ratios.collect();
        self.rows.extend(ratios);
        self
    }

    /// Returns the medians of all rounds as Markdown.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "\n## {}\n\n| | {} |\n| --- |{}\n",
            self.title,
            self.columns.join(" | "),
            " --- |".repeat(N)
        );
        for (name, rounds) in &self.rows {
            write!(text, "| {name} |").expect("a String takes everything");
            for column in 0..N {
                let value = median(rounds, |round| round[column]);
                let digits = if value < 100.0 { 2 } else { 0 };
                let value = if value.is_finite() {
                    format!("{value:.digits$}")
                } else {
                    String::new()
                };
                write!(text, " {value} |").expect("a String takes everything");
            }
            text.push('\n');
        }
        text
    }
}

/// Returns the machine, and how much is measured, as the first sentence of a report.
pub(crate) fn conditions(effort: Effort) -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    format!(
        "{}; medians of {} runs of {} ms, load average before: {load}\n",
        machine(),
        effort.rounds,
        effort.run.as_millis(),
    )
}
