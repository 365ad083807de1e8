//! Crates with unusual code around their attributes, which must compile.

use std::path::Path;
use std::process::Command;

use crate::library::{Library, compile};

#[test]
fn unusual_crates_compile_and_run() {
    let library = Library::find();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lockattr-macros/tests/ui/pass");
    let mut compiled = 0;
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let source = entry.expect("an entry").path();
        let async_trait = library.macros("async_trait");
        let output = compile("rustc", &library)
            .args(["--crate-type=bin", "--emit=link"])
            .arg(format!("--extern=async_trait={}", async_trait.display()))
            .arg(&source)
            .output()
            .expect("rustc has built this test");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", source.display());
        let name = source.file_stem().expect("a name");
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let status = Command::new(program).status().expect("it was just built");
        assert!(status.success(), "{}: {status}", source.display());
        compiled += 1;
    }
    assert!(compiled > 3, "only {compiled} crates in the folder");
}
