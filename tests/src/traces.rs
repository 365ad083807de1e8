//! All that is traced in a process of the suite, for whoever searches it for secrets.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Once;
use std::{env, process};

use tracing_subscriber::filter::LevelFilter;

/// From now on, traces everything to a file of this process in the folder that the variable
/// `LOCKATTR_TEST_TRACES` names, if it is set.
///
/// # Panics
///
/// When the file cannot be written.
pub fn trace_to_file() {
    static STARTED: Once = Once::new();
    let Some(dir) = env::var_os("LOCKATTR_TEST_TRACES") else {
        return;
    };
    STARTED.call_once(|| {
        let path = PathBuf::from(dir).join(format!("{}.trace", process::id()));
        let file = File::create(path).expect("a file for the traces");
        // A test with a subscriber of its own looks for itself.
        let _ = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(file)
            .try_init();
    });
}
