//! Libraries in C that are preloaded into a program, to change what its system calls do.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

/// A library in its own folder, which is deleted with this value.
#[derive(Debug)]
pub struct Preload {
    pub(crate) dir: PathBuf,
}

impl Preload {
    /// Makes `getppid` fork.
    ///
    /// # Panics
    ///
    /// When there is no C compiler.
    #[must_use]
    pub fn fork() -> Self {
        Self::compile(include_str!("fork.c"))
    }

    pub(crate) fn compile(source: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = env::temp_dir().join(format!("lockattr-preload-{}-{number}", process::id()));
        fs::create_dir_all(&dir).expect("a folder");
        fs::write(dir.join("shim.c"), source).expect("a file");
        let compiled = Command::new("cc")
            .current_dir(&dir)
            .args(["-shared", "-fPIC", "-O2", "-o", "shim.so", "shim.c", "-ldl"])
            .status();
        assert!(
            compiled.is_ok_and(|status| status.success()),
            "the C compiler `cc` is needed"
        );
        Self { dir }
    }

    /// Returns the environment variable that loads the library into a program.
    #[must_use]
    pub fn variable(&self) -> (&'static str, PathBuf) {
        ("LD_PRELOAD", self.dir.join("shim.so"))
    }
}

impl Drop for Preload {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}
