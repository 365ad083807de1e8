//! The library's events, on standard error.

use std::io;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::failure::Failure;

/// Where the library says at each start what `lockattr doctor` says when it is asked.
const DIAGNOSIS: &str = "lockattr::pool";
/// What the events of the library and its engines begin with: those of the clients below them are too many.
const OURS: &str = "lockattr";

/// Writes the library's events from now on. `run` shows its warnings unasked: a command should not hide that
/// its lease cannot be renewed.
pub(crate) fn start(verbose: u8, is_run: bool) -> Result<(), Failure> {
    let all = |level| Targets::new().with_target(OURS, level);
    let wanted = match (verbose, is_run) {
        (0, false) => all(LevelFilter::OFF),
        (0, true) => all(LevelFilter::WARN).with_target(DIAGNOSIS, LevelFilter::OFF),
        (1, _) => all(LevelFilter::INFO),
        _ => all(LevelFilter::TRACE),
    };
    let layer = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_target(false)
        .with_filter(wanted);
    let registry = tracing_subscriber::registry().with(layer);
    registry
        .try_init()
        .map_err(|error| Failure::system("show events", io::Error::other(error)))
}
