//! The pictures in the README, which `docs/pictures/make` draws, show what the program prints today.

use std::fs;
use std::path::Path;

use lockattr_tests::RedisServer;

use crate::program::{lockattr, lockattr_at, run};
use crate::tmux::Tmux;
use crate::{hold, pool, server, wait_for};

/// Returns the text of a picture that the README shows.
fn picture(name: &str) -> String {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(package.join("README.md")).unwrap();
    let place = format!("docs/pictures/{name}.svg");
    let link = format!("https://raw.githubusercontent.com/lockattr/lockattr/HEAD/{place}");
    assert!(readme.contains(&link), "{link}");
    fs::read_to_string(package.join("..").join(place)).unwrap()
}

#[track_caller]
fn assert_shows<'a>(name: &str, words: impl IntoIterator<Item = &'a str>) {
    let picture = picture(name);
    for word in words {
        assert!(
            picture.contains(word),
            "`{word}` is missing: docs/pictures/make {name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_program_prints_is_in_its_pictures() {
    let server = server();
    let (pool, other) = (pool(&server).await, pool(&server).await);
    let _guard = hold(&pool, "order:1").await;
    let _waiting = wait_for(&other, "order:1").await;
    let said = run(&mut lockattr(&server, ["ls"])).exits_with(0);
    let header = said.out.lines().next().unwrap();
    assert_shows("ls", header.split_whitespace());
    let said = run(&mut lockattr(&server, ["inspect", "order:1"])).exits_with(0);
    let lines = said.out.lines().skip(1);
    // The names, and the header of the queue.
    let names = lines.filter_map(|line| match line.trim_start_matches("  - ") {
        line if line.starts_with("PLACE") => Some(line),
        line => line
            .trim_start()
            .split("  ")
            .next()
            .filter(|it| !it.starts_with('1')),
    });
    assert_shows("inspect", names.flat_map(str::split_whitespace));
    let tmux = Tmux::start(&server, "$LOCKATTR watch");
    tmux.shows("≥GRANTS/s");
    let shown = tmux.text();
    let header = shown.lines().find(|line| line.starts_with("KEY")).unwrap();
    assert_shows("watch", header.split_whitespace());
    let help = shown.lines().rfind(|line| !line.trim().is_empty()).unwrap();
    assert_shows("watch", help.split_whitespace());
}

#[test]
fn the_findings_are_in_their_picture() {
    let server = RedisServer::start_with(&["--appendonly", "yes"]);
    let said = run(lockattr_at(&server.admin_url()).args(["doctor", "--json"]));
    let findings = said.objects()[0]["findings"].as_array().unwrap().clone();
    assert!(findings.len() > 3, "{said:?}");
    assert_shows(
        "doctor",
        findings
            .iter()
            .flat_map(|finding| finding["topic"].as_str().unwrap().split_whitespace()),
    );
}
