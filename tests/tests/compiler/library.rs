//! Compiles single files with the library that this test was built with.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder where cargo has put the library.
pub(crate) struct Library {
    deps: PathBuf,
    file: PathBuf,
}

impl Library {
    pub(crate) fn find() -> Self {
        let test = std::env::current_exe().expect("a test is a file");
        let deps = test.parent().expect("in a folder").to_owned();
        let newest = newest_first(&deps, "liblockattr-", ".rlib")
            .into_iter()
            .map(|file| Self {
                deps: deps.clone(),
                file,
            })
            .find(Self::can_be_used);
        newest.expect("the test is linked with it")
    }

    /// Some files were built with other features, whose dependencies are missing.
    fn can_be_used(&self) -> bool {
        let source = Path::new(env!("CARGO_TARGET_TMPDIR")).join("uses_lockattr.rs");
        std::fs::write(&source, "pub use lockattr::Error;").expect("a folder for tests");
        let compiled = compile("rustc", self)
            .args(["--crate-type=lib", "--emit=metadata"])
            .arg(source)
            .output();
        compiled.is_ok_and(|output| output.status.success())
    }

    /// Returns the file of a macro crate that was built next to it.
    pub(crate) fn macros(&self, name: &str) -> PathBuf {
        let found = newest_first(&self.deps, &format!("lib{name}-"), ".so");
        let newest = found.into_iter().next();
        newest.unwrap_or_else(|| panic!("no `{name}` in {}", self.deps.display()))
    }
}

fn newest_first(folder: &Path, prefix: &str, suffix: &str) -> Vec<PathBuf> {
    let is_wanted = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(prefix) && name.ends_with(suffix)
    };
    let entries = std::fs::read_dir(folder).expect("it can be read");
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(is_wanted)
        .collect();
    files.sort_by_key(|path| path.metadata().and_then(|data| data.modified()).ok());
    files.reverse();
    files
}

pub(crate) fn compile(compiler: &str, library: &Library) -> Command {
    let mut command = Command::new(compiler);
    command
        .args(["--edition=2024", "--error-format=json", "--cap-lints=warn"])
        .args(["--out-dir", env!("CARGO_TARGET_TMPDIR")])
        .arg(format!("-Ldependency={}", library.deps.display()))
        .arg(format!("--extern=lockattr={}", library.file.display()));
    command
}
