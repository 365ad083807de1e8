//! The dashboard, its alerts and the guide name the metrics that there are.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use lockattr::LockPool;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// The names that are described to it.
#[derive(Default)]
struct Described(RefCell<BTreeSet<String>>);

impl Described {
    fn note(&self, name: &KeyName) {
        self.0.borrow_mut().insert(name.as_str().to_owned());
    }
}

impl Recorder for Described {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.note(&name);
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.note(&name);
    }

    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.note(&name);
    }

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// The metrics that a pool describes.
fn described() -> BTreeSet<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let names = Described::default();
    metrics::with_local_recorder(&names, || runtime.block_on(LockPool::memory())).unwrap();
    names.0.into_inner()
}

/// The metrics named in a file, without what the exporter adds.
fn named(file: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    let text = fs::read_to_string(path).unwrap();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let names = words.filter(|word| word.starts_with("lockattr_") && word.len() > 9);
    let names = names.map(|name| {
        let mut parts = ["_bucket", "_count", "_sum"].into_iter();
        let bare = parts.find_map(|part| name.strip_suffix(part));
        bare.unwrap_or(name).to_owned()
    });
    names.collect()
}

#[test]
fn the_guide_names_exactly_the_metrics_that_there_are() {
    assert_eq!(named("docs/observability.md"), described());
}

#[test]
fn the_dashboard_and_its_alerts_name_only_metrics_that_there_are() {
    let all = described();
    for file in ["docs/grafana/lockattr.json", "docs/grafana/alerts.yml"] {
        let names = named(file);
        assert!(names.len() > 4, "{file}: {names:?}");
        assert!(names.is_subset(&all), "{file}: {names:?}");
    }
    // Each metric is somewhere to be seen.
    assert_eq!(named("docs/grafana/lockattr.json"), all);
}
