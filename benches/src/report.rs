//! The figures, as a table and as a plot.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, thread};

use plotters::prelude::*;

use crate::candidate::Candidate;

#[derive(Default)]
pub(crate) struct Report {
    notes: Vec<String>,
    figures: Vec<Figure>,
}

struct Figure {
    workload: String,
    candidate: &'static str,
    what: &'static str,
    value: f64,
}

impl Report {
    pub(crate) fn add(
        &mut self,
        workload: &str,
        candidate: impl Into<&'static str>,
        what: &'static str,
        value: f64,
    ) {
        let candidate = candidate.into();
        println!("{workload:26} {candidate:24} {what:18} {value:12.2}");
        self.figures.push(Figure {
            workload: workload.to_owned(),
            candidate,
            what,
            value,
        });
    }

    /// Adds a sentence that explains the figures.
    pub(crate) fn note(&mut self, note: String) {
        println!("{note}");
        self.notes.push(note);
    }

    fn value(&self, workload: &str, candidate: Candidate, what: &str) -> Option<f64> {
        let found = self.figures.iter().find(|figure| {
            figure.workload == workload
                && figure.candidate == candidate.name()
                && figure.what == what
        });
        found.map(|figure| figure.value)
    }

    /// Returns the Markdown table; each figure has its ratio to the lock written by hand.
    fn table(&self) -> String {
        let mut text = format!(
            "{}\n\n{}\n\n| workload | | figure | value | to by hand |\n| --- | --- | --- | --- | --- |\n",
            machine(),
            self.notes.join("\n")
        );
        for figure in &self.figures {
            let Figure {
                workload,
                candidate,
                what,
                value,
            } = figure;
            let by_hand = self.value(workload, Candidate::ByHand, what);
            let by_hand = by_hand.filter(|by_hand| *by_hand > 0.0);
            let ratio = by_hand.map_or(String::new(), |by_hand| format!("{:.2}", value / by_hand));
            writeln!(
                text,
                "| {workload} | {candidate} | {what} | {value:.2} | {ratio} |"
            )
            .expect("a String takes everything");
        }
        text
    }

    /// Writes `results.md` and `throughput.svg`.
    pub(crate) fn save(&self, folder: &Path) {
        fs::create_dir_all(folder).expect("a folder");
        fs::write(folder.join("results.md"), self.table()).expect("a file");
        let plot = folder.join("throughput.svg");
        self.plot(&plot).expect("a plot");
        println!("\n{}\nsaved in {}", machine(), folder.display());
    }

    fn plot(&self, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
        const WORKLOADS: [&str; 4] = [
            "W2 64 tasks",
            "W2 1024 tasks",
            "W3 64 tasks, 1 key",
            "W4 empty section",
        ];
        const BARS: [Candidate; 4] = [
            Candidate::Lockattr,
            Candidate::ByHand,
            Candidate::Rslock,
            Candidate::AsyncRedisLock,
        ];
        const TOP: f64 = 1e6;
        let area = SVGBackend::new(path, (860, 380)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption("acquire + release, pairs per second", ("sans-serif", 18))
            .margin(10)
            .x_label_area_size(30)
            .y_label_area_size(70)
            .build_cartesian_2d(0.0..4.0, (100.0..TOP).log_scale())?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(0)
            .y_label_formatter(&|value| format!("{value:.0}"))
            .draw()?;
        for (bar, candidate) in BARS.into_iter().enumerate() {
            let color = Palette99::pick(bar).mix(0.9);
            let columns = WORKLOADS
                .into_iter()
                .enumerate()
                .filter_map(|(n, workload)| {
                    let value = self.value(workload, candidate, "pairs/s")?;
                    let left = f64::from(u32::try_from(n).ok()?)
                        + 0.1
                        + 0.2 * f64::from(u32::try_from(bar).ok()?);
                    Some(Rectangle::new(
                        [(left, 100.0), (left + 0.18, value.min(TOP))],
                        color.filled(),
                    ))
                });
            chart
                .draw_series(columns)?
                .label(candidate.name())
                .legend(move |(x, y)| {
                    Rectangle::new([(x, y - 5), (x + 12, y + 5)], color.filled())
                });
        }
        for (n, workload) in WORKLOADS.into_iter().enumerate() {
            let x = 80 + 190 * i32::try_from(n)?;
            area.draw(&Text::new(workload, (x + 30, 350), ("sans-serif", 14)))?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK)
            .draw()?;
        area.present()?;
        Ok(())
    }
}

pub(crate) fn machine() -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split(':').nth(1))
        .unwrap_or("unknown processor");
    format!("{cores} cores of{model}, server and clients on the same machine")
}
