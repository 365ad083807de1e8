//! The library's events, on standard error.

use std::io;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt;

use crate::failure::Failure;

/// Writes the library's events from now on. A command that runs under a lock should not hide that the lock
/// can be lost, so `run` shows the warnings unasked.
pub(crate) fn start(verbose: u8, is_run: bool) -> Result<(), Failure> {
    let level = match (verbose, is_run) {
        (0, false) => LevelFilter::OFF,
        (0, true) => LevelFilter::WARN,
        (1, _) => LevelFilter::INFO,
        _ => LevelFilter::TRACE,
    };
    fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never)
        .with_target(false)
        .try_init()
        .map_err(|error| Failure::system("show events", io::Error::other(error)))
}
