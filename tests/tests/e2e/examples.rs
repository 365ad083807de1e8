//! Every example runs and checks what it shows, in memory and on a server; one on a cluster too. Those of the
//! engines run on a server of their own, and on one of the test's.

use std::env::current_exe;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use lockattr_tests::postgres::PostgresServer;
use lockattr_tests::{Etcd, RedisCluster, RedisServer, ZooKeepers, eventually, find_secret};

/// What tells an example where a server is.
const VARIABLES: [&str; 4] = ["LOCKATTR_URL", "DATABASE_URL", "ETCD_URL", "ZOOKEEPER_URL"];

/// The folder of the built examples. They are built with the whole workspace and share its
/// features, so a run of all tests has built them already.
static EXAMPLES: LazyLock<PathBuf> = LazyLock::new(|| {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--workspace", "--examples"])
        .status();
    assert!(status.expect("cargo is there").success());
    // `target/debug/deps/e2e-…`
    let test = current_exe().expect("a test is a file");
    let profile = test.ancestors().nth(2).expect("in two folders");
    profile.join("examples")
});

fn run(example: &str) {
    run_on(&RedisServer::start(), example);
}

fn run_on(server: &RedisServer, example: &str) {
    for url in [None, Some(server.url())] {
        run_with(example, url.as_deref().map(|url| ("LOCKATTR_URL", url)));
    }
    assert!(server.locks().is_empty(), "{example} leaves locks");
}

fn run_with(example: &str, url: Option<(&str, &str)>) {
    // One that hangs is ended, so that it is known what it has said.
    let mut command = Command::new("timeout");
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    command
        .arg("300")
        .arg(EXAMPLES.join(example))
        .env("RUST_LOG", "trace")
        .envs(url);
    let output = command.output().expect("cargo is there");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let secret = find_secret(format!("{text}{errors}").as_bytes());
    assert_eq!(secret, None, "{example} tells a secret");
    println!("{text}");
    assert!(
        output.status.success(),
        "{example}, with a server: {}: {text}{errors}",
        url.is_some()
    );
    assert!(text.lines().count() > 2, "{example} shows nothing: {text}");
}

#[test]
fn persistence() {
    run_with("persistence", None);
}

#[test]
fn replication() {
    run_with("replication", None);
}

#[test]
fn quickstart() {
    run("quickstart");
}

#[test]
fn blocking() {
    run("blocking");
}

#[test]
fn counter() {
    run("counter");
}

#[test]
fn critical_section() {
    run("critical_section");
}

#[test]
fn cron() {
    run("cron");
}

#[test]
fn flash_sale() {
    run("flash_sale");
}

#[test]
fn fair_allocation() {
    run("fair_allocation");
}

/// With a database of its own, each time.
#[test]
fn fenced_write() {
    let server = RedisServer::start();
    // It takes a lock away.
    server.allow_inspection();
    run_on(&server, "fenced_write");
}

#[test]
fn graceful_shutdown() {
    run("graceful_shutdown");
}

#[test]
fn actix_web() {
    run("actix_web");
}

#[test]
fn apalis() {
    run("apalis");
}

#[test]
fn grpc() {
    run("grpc");
}

#[test]
fn idempotency_key() {
    run("idempotency_key");
}

#[test]
fn leader() {
    run("leader");
}

#[test]
fn metrics() {
    run("metrics");
}

#[test]
fn order_service() {
    run("order_service");
}

#[test]
fn worker() {
    run("worker");
}

#[test]
fn scale_out() {
    run("scale_out");
    let cluster = RedisCluster::start(3, 0);
    run_with("scale_out", Some(("LOCKATTR_URL", &cluster.url())));
    for node in cluster.nodes() {
        assert!(node.script_calls() > 10, "every master has its part");
    }
    assert!(cluster.locks().is_empty(), "it leaves locks");
}

#[test]
fn postgres() {
    run_with("postgres", None);
    let server = PostgresServer::start();
    server.execute("grant create on database postgres to public");
    run_with("postgres", Some(("DATABASE_URL", &server.url())));
    let left = server.query("select from pg_namespace where nspname like 'lockattr\\_%'");
    assert!(left.is_empty(), "it leaves its schema");
}

#[test]
fn etcd() {
    run_with("etcd", None);
    let cluster = Etcd::start(1);
    cluster.enable_auth();
    run_with("etcd", Some(("ETCD_URL", &cluster.url())));
    eventually("it leaves no locks", || cluster.locks().is_empty());
}

#[test]
fn zookeeper() {
    run_with("zookeeper", None);
    let servers = ZooKeepers::start(1);
    run_with("zookeeper", Some(("ZOOKEEPER_URL", &servers.url())));
    eventually("it leaves no locks", || servers.places().is_empty());
}
