//! `lockattr completions` and `lockattr man`.

use std::process::Command;

use crate::program::{Folder, PROGRAM, clean, run};

fn lockattr(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    clean(&mut command).args(arguments);
    command
}

#[test]
fn shells_get_their_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = run(&mut lockattr(&["completions", shell])).exits_with(0);
        for part in ["inspect", "force", "min-hold", "watch", "bench", "seconds"] {
            assert!(said.out.contains(part), "{shell}");
        }
    }
    run(&mut lockattr(&["completions", "another"])).exits_with(64);
    let said = run(&mut lockattr(&["completions", "bash", "--json"])).exits_with(64);
    assert!(said.error().contains("no JSON"), "{said:?}");
}

#[test]
fn manual_pages_are_written() {
    let said = run(&mut lockattr(&["man"])).exits_with(0);
    assert!(said.out.contains(".TH lockattr 1"), "{}", said.out);
    let folder = Folder::new();
    let mut command = lockattr(&["man"]);
    run(command.arg(folder.path())).exits_with(0);
    for name in ["watch", "bench", "inspect"] {
        let page = folder.read(&format!("lockattr-{name}.1"));
        assert!(page.contains(".TH"), "{name}: {page}");
    }
    let page = folder.read("lockattr-run.1");
    assert!(
        page.contains("LOCKATTR_TOKEN") && page.contains("75"),
        "{page}"
    );
    let names = std::fs::read_dir(folder.path()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name());
    assert!(
        names
            .filter(|name| name.to_string_lossy().contains("launch"))
            .count()
            == 0,
        "the step before a command is nobody's business"
    );
    let missing = folder.path().join("missing");
    let said = run(lockattr(&["man"]).arg(missing)).exits_with(71);
    assert!(said.error().contains("missing"), "{said:?}");
}

#[test]
fn the_version_is_that_of_the_library() {
    let said = run(&mut lockattr(&["--version"])).exits_with(0);
    assert_eq!(
        said.out,
        format!("lockattr {}\n", env!("CARGO_PKG_VERSION"))
    );
}
