//! The wall clock of a server, which a test can set.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use crate::preload::Preload;

/// A clock that is ahead of the machine's by a settable time. Made before its server, with a C
/// compiler.
#[derive(Debug, Clone)]
pub struct ServerClock(Arc<Files>);

#[derive(Debug)]
struct Files {
    shim: Preload,
    offset: File,
}

impl ServerClock {
    /// Makes a clock that is right.
    ///
    /// # Panics
    ///
    /// When there is no C compiler.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "it makes files and runs a compiler"
    )]
    pub fn new() -> Self {
        let shim = Preload::compile(include_str!("server_clock.c"));
        let offset = File::create(shim.dir.join("offset")).expect("a file");
        let clock = Self(Arc::new(Files { shim, offset }));
        clock.set(0);
        clock
    }

    /// Sets it this many seconds ahead of the machine's clock, or behind.
    ///
    /// # Panics
    ///
    /// When the file is gone.
    pub fn set(&self, seconds: i64) {
        self.set_millis(seconds * 1000);
    }

    /// Does the same in milliseconds.
    ///
    /// # Panics
    ///
    /// When the file is gone.
    pub fn set_millis(&self, millis: i64) {
        let nanos = (millis * 1_000_000).to_ne_bytes();
        self.0
            .offset
            .write_all_at(&nanos, 0)
            .expect("the file is there");
    }

    pub(crate) fn environment(&self) -> [(&'static str, PathBuf); 2] {
        [
            self.0.shim.variable(),
            ("SERVER_CLOCK", self.0.shim.dir.join("offset")),
        ]
    }
}
