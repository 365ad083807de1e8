//! An upper layer imports lower ones, never the other way round.

use std::fs;
use std::path::{Path, PathBuf};

/// From the bottom to the top. A module may name those in its own row and in the rows above it.
const LAYERS: &[&[&str]] = &[
    &[
        "asked_key",
        "clock",
        "error",
        "key",
        "label",
        "owner",
        "spec",
        "template",
        "timing",
    ],
    &["backend"],
    &["protocol"],
    &["driver", "lease"],
    &[
        "current",
        "pool",
        "service_url",
        "request",
        "guard",
        "hold",
        "stall",
    ],
    &["assert_held", "key_macro", "__private"],
];

/// Errors carry what a backend says.
const EXCEPTIONS: &[(&str, &str)] = &[("error", "backend")];

#[test]
fn imports_go_downwards() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lockattr/src");
    let layer = |module: &str| LAYERS.iter().position(|row| row.contains(&module));
    let mut seen = 0;
    for file in rust_files(&src) {
        let module = file
            .strip_prefix(&src)
            .unwrap()
            .components()
            .next()
            .unwrap();
        let module = module
            .as_os_str()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs")
            .to_owned();
        // The fuzz targets' way in goes to all layers, and is in no ordinary build.
        if module == "lib" || file.ends_with("fuzzing.rs") {
            continue;
        }
        let own =
            layer(&module).unwrap_or_else(|| panic!("`{module}` has no layer: give it one here"));
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        for import in code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .flat_map(|line| line.split("crate::").skip(1))
        {
            let name: String = import
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            let Some(imported) = layer(&name) else {
                continue;
            };
            seen += 1;
            let is_allowed =
                imported <= own || EXCEPTIONS.contains(&(module.as_str(), name.as_str()));
            assert!(
                is_allowed,
                "{}: `{module}` must not import `{name}`",
                file.display()
            );
        }
    }
    assert!(seen > 50, "this test reads the wrong files");
}

/// Only the Redis backend knows the client library.
#[test]
fn one_folder_names_redis() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lockattr/src");
    for file in rust_files(&src) {
        let text = fs::read_to_string(&file).unwrap();
        let is_backend = file.starts_with(src.join("backend/redis"));
        assert!(
            is_backend || !text.contains("use redis::"),
            "{}",
            file.display()
        );
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let rust = files
        .into_iter()
        .filter(|file| file.extension().is_some_and(|ending| ending == "rs"));
    rust.chain(folders.iter().flat_map(|folder| rust_files(folder)))
        .collect()
}
