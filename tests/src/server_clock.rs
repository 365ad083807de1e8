//! The wall clock of a server, which a test can set.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

const SHIM: &str = include_str!("server_clock.c");

/// A clock that is so much ahead of the machine's. Made before its server, with a C compiler.
#[derive(Debug, Clone)]
pub struct ServerClock(Arc<Files>);

#[derive(Debug)]
struct Files {
    dir: PathBuf,
    offset: File,
}

impl ServerClock {
    /// A clock that is right.
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
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = env::temp_dir().join(format!("lockattr-clock-{}-{number}", process::id()));
        fs::create_dir_all(&dir).expect("a folder");
        fs::write(dir.join("shim.c"), SHIM).expect("a file");
        let compiled = Command::new("cc")
            .current_dir(&dir)
            .args(["-shared", "-fPIC", "-O2", "-o", "shim.so", "shim.c"])
            .status();
        assert!(
            compiled.is_ok_and(|status| status.success()),
            "the C compiler `cc` is needed"
        );
        let offset = File::create(dir.join("offset")).expect("a file");
        let clock = Self(Arc::new(Files { dir, offset }));
        clock.set(0);
        clock
    }

    /// Sets it so many seconds ahead of the machine's clock, or behind.
    ///
    /// # Panics
    ///
    /// When the file is gone.
    pub fn set(&self, seconds: i64) {
        self.set_millis(seconds * 1000);
    }

    /// The same in milliseconds.
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
            ("LD_PRELOAD", self.0.dir.join("shim.so")),
            ("SERVER_CLOCK", self.0.dir.join("offset")),
        ]
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}
