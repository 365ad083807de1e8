//! Processes that run out of something, and pools that have much to give back.

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use lockattr_tests::{Proxy, RedisServer, Service, eventually};

use super::pool;

/// No file is left to connect with: calls fail within their wait, and all is well afterwards.
#[test]
fn a_process_without_files() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let mut worker = Command::new(env!("CARGO_BIN_EXE_worker"))
        .args([&server.url_at(proxy.port()), "files", "starve"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(worker.stdout.take().unwrap()).lines();
    assert_eq!(said.next().unwrap().unwrap(), "starving");
    // Its connection ends, and another server-side end cannot be had.
    proxy.cut();
    writeln!(worker.stdin.as_mut().unwrap(), "go on").unwrap();
    let failed = said.next().unwrap().unwrap();
    assert!(failed.contains("Unreachable"), "{failed}");
    assert_eq!(said.next().unwrap().unwrap(), "recovered");
    assert!(worker.wait().unwrap().success());
    eventually("nothing is left", || server.locks().is_empty());
}

#[tokio::test]
async fn a_shutdown_with_ten_thousand_locks() {
    let server = RedisServer::start();
    let pool = pool(server.url()).await;
    let mut guards = Vec::new();
    for n in 0..10_000 {
        guards.push(tokio::spawn(
            pool.lock(format!("k:{n}"))
                .ttl(Service::LONG)
                .wait(Service::LONG)
                .acquire(),
        ));
    }
    let mut held = Vec::new();
    for guard in guards {
        held.push(guard.await.unwrap().unwrap());
    }
    assert_eq!(server.locks().len(), 10_000);
    pool.shutdown(Duration::from_secs(60)).await.unwrap();
    assert!(server.locks().is_empty());
    drop(held);
}
