//! What rustc and clippy say about correct attributes: no lint is added, and none silenced. The
//! messages about wrong attributes are in `lockattr/tests/ui.rs`.
#![deny(warnings, clippy::pedantic)]

mod library;
mod pass;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use lockattr::{Error, LockPool, distributed_lock};

use crate::library::{Library, compile};

/// Lints on functions still see the function.
#[expect(dead_code)]
#[distributed_lock(key = "never called:{order_id}")]
async fn never_called(order_id: u64) -> Result<u64, Error> {
    Ok(order_id)
}

/// Says nothing about its errors.
#[expect(clippy::missing_errors_doc)]
#[distributed_lock(key = "documented:{order_id}")]
pub async fn half_documented(order_id: u64) -> Result<u64, Error> {
    Ok(order_id)
}

#[expect(missing_docs, clippy::missing_errors_doc)]
#[distributed_lock(key = "undocumented:{order_id}")]
pub async fn undocumented(order_id: u64) -> Result<u64, Error> {
    Ok(order_id)
}

#[expect(unused_variables)]
#[distributed_lock(key = "k")]
async fn unused_argument(order_id: u64) -> Result<(), Error> {
    let unused = 1;
    Ok(())
}

#[distributed_lock(
    key("{pair.0}:{id}", id = pair.1 + 1),
    ttl = "10s",
    wait = std::time::Duration::from_secs(2),
    max_hold = std::time::Duration::from_secs(60),
    bind = lease
)]
async fn every_generated_form(pair: (u64, u64)) -> Result<u64, Error> {
    Ok(pair.0 + lease.fencing_token())
}

#[distributed_lock(key = (pair.0 + pair.1), on_busy = "skip", or_else = |_| 0)]
async fn handled(pair: (u64, u64)) -> u64 {
    pair.0
}

#[distributed_lock(key = "skip", on_busy = "skip")]
async fn skipped() {}

#[distributed_lock(key = "from:{from}", bind = outer, on_busy = |_| Err(Error::Closed), on_lost = "error")]
#[distributed_lock(key = "to:{to}", when = to > 1, bind = inner, min_hold = "1s", permits = 2)]
async fn several(from: u64, to: u64) -> Result<u64, Error> {
    Ok(inner.map_or(0, lockattr::Lease::fencing_token) + outer.fencing_token())
}

#[distributed_lock(key = "conditional", when = is_needed, shared = true, on_busy = |busy| busy.key().len(), or_else = |_| 0)]
async fn conditional(is_needed: bool) -> usize {
    1
}

struct Ledger {
    id: u64,
}

impl Ledger {
    #[distributed_lock(key = "{self.id}", on_busy = "skip")]
    async fn method(&mut self, add: u64) -> Result<u64, Error> {
        self.id += add;
        Ok(self.id)
    }
}

/// The test is that this compiles; the values show that the bodies are the user's.
#[tokio::test]
async fn the_attribute_is_quiet() {
    let pool = LockPool::memory().await.unwrap();
    pool.scope(async {
        assert_eq!(half_documented(1).await.unwrap(), 1);
        assert_eq!(undocumented(1).await.unwrap(), 1);
        unused_argument(1).await.unwrap();
        assert!(every_generated_form((1, 2)).await.unwrap() > 1);
        assert_eq!(handled((1, 2)).await, 1);
        skipped().await;
        assert!(several(1, 1).await.unwrap() > 0);
        assert_eq!(conditional(false).await, 1);
        assert_eq!(Ledger { id: 1 }.method(1).await.unwrap(), 2);
    })
    .await;
}

/// Each lint, with its function.
type Found = BTreeSet<(String, String)>;

/// Lints the corpus with the attribute and without it, under all lints of clippy.
///
/// `unused_async` is silent with the attribute: the function does wait, for the lock.
#[test]
fn clippy_says_the_same_with_and_without_the_attribute() {
    let groups = ["all", "pedantic", "nursery", "restriction"];
    let lints = groups.map(|group| format!("-Wclippy::{group}"));
    compare("clippy-driver", &lints, &["clippy::unused_async"]);
}

/// `async_fn_in_trait` is silent: outside of clippy the method is no longer an `async fn`.
#[test]
fn the_compiler_says_the_same_with_and_without_the_attribute() {
    let lints = ["-Wunused".to_owned(), "-Wmissing-docs".to_owned()];
    compare("rustc", &lints, &["async_fn_in_trait"]);
}

#[track_caller]
fn compare(compiler: &str, lints: &[String], silent: &[&str]) {
    if Command::new(compiler).arg("--version").output().is_err() {
        eprintln!("skipped: there is no {compiler}");
        return;
    }
    let mut plain = lint(compiler, lints, &[]);
    let mut locked = lint(compiler, lints, &["--cfg", "locked"]);
    assert!(plain.len() > 20, "the corpus was not linted: {plain:?}");
    for found in [&mut plain, &mut locked] {
        found.retain(|(lint, _)| !silent.contains(&lint.as_str()));
    }
    let added: Vec<_> = locked.difference(&plain).collect();
    let silenced: Vec<_> = plain.difference(&locked).collect();
    assert!(added.is_empty(), "added: {added:?}");
    assert!(silenced.is_empty(), "silenced: {silenced:?}");
}

fn lint(compiler: &str, lints: &[String], more: &[&str]) -> Found {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compiler/corpus.rs");
    let output = compile(compiler, &Library::find())
        .args(["--crate-type=lib", "--emit=metadata"])
        .arg(&corpus)
        .args(lints)
        .args(more)
        .output()
        .expect("it could say its version");
    let messages = String::from_utf8(output.stderr).expect("diagnostics are UTF-8");
    assert!(output.status.success(), "{messages}");
    let text = std::fs::read_to_string(corpus).expect("the compiler has read it");
    let functions = functions(&text);
    let read = |line: &str| -> Option<(String, String)> {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let lint = message["code"]["code"].as_str()?.to_owned();
        let spans = message["spans"].as_array()?;
        let place = spans.iter().find(|span| span["is_primary"] == true)?;
        let row = usize::try_from(place["line_start"].as_u64()?).ok()?;
        Some((lint, functions.get(row - 1)?.clone()))
    };
    messages.lines().filter_map(read).collect()
}

/// Returns the function of each line; attributes belong to the next function.
fn functions(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let name = |line: &str| {
        let (_, name) = line.split_once("async fn ")?;
        name.split(['(', '<']).next().map(str::to_owned)
    };
    let is_attribute =
        |line: &str| line.trim_start().starts_with("#[cfg_attr") || line.trim() == "#[must_use]";
    let mut current = String::new();
    let mut functions = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        let declared = if is_attribute(line) {
            lines[n..].iter().find_map(|line| name(line))
        } else {
            name(line)
        };
        current = declared.unwrap_or(current);
        functions.push(current.clone());
    }
    functions
}
