//! Writes all traces of a test process to a file that is searched for secrets afterwards.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::{env, process};

use tracing::Subscriber;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Traces at the finest level into a file of this process, from the first call on, if the variable
/// `LOCKATTR_TEST_TRACES` is set, as `tests/run` does; always tracing would slow benchmarks down.
///
/// # Panics
///
/// When the file cannot be made, or the process has a subscriber already.
pub fn trace_to_file() {
    if env::var_os("LOCKATTR_TEST_TRACES").is_some() {
        trace_file();
    }
}

/// Returns the file, `<pid>-<program>` in `tmp/traces` of cargo's target directory.
///
/// # Panics
///
/// As [`trace_to_file`].
pub fn trace_file() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let (path, file) = create();
        tracing_subscriber::registry().with(layer(file)).init();
        path
    })
}

/// Does the work of [`trace_to_file`], for a subscriber that does more.
pub(crate) fn trace_layer<S>() -> Option<impl Layer<S>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let file = env::var_os("LOCKATTR_TEST_TRACES").map(|_| create().1);
    file.map(layer)
}

fn layer<S>(file: File) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fmt::layer()
        .with_ansi(false)
        .with_writer(Mutex::new(file))
        .with_filter(LevelFilter::TRACE)
}

fn create() -> (PathBuf, File) {
    let program = env::current_exe().expect("the program has a path");
    let target = program
        .ancestors()
        .find(|dir| dir.join("CACHEDIR.TAG").exists())
        .expect("cargo marks its target directory");
    let dir = target.join("tmp/traces");
    fs::create_dir_all(&dir).expect("a directory for the traces");
    let name = program.file_name().expect("a program has a name");
    let path = dir.join(format!("{}-{}", process::id(), name.to_string_lossy()));
    let file = File::create(&path).expect("a file for the traces");
    (path, file)
}
