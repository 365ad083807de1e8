//! What is on the disk of a server, or fails to get there.

use super::*;

fn dir(server: &RedisServer) -> std::path::PathBuf {
    let dir = server.raw(&["CONFIG", "GET", "dir"]).unwrap();
    let dir = <[String; 2]>::from_redis_value(dir).unwrap();
    dir[1].clone().into()
}

#[tokio::test]
async fn what_a_restart_forgets_is_found() {
    let server = RedisServer::start();
    let pool = pool(server.admin_url()).await;
    expect(
        &worst(&pool, Topic::Persistence).await,
        Severity::Warning,
        "without AOF",
    );
    set(&server, "appendonly", "yes");
    expect(
        &worst(&pool, Topic::Persistence).await,
        Severity::Limit,
        "every second",
    );
    set(&server, "appendfsync", "no");
    expect(
        &worst(&pool, Topic::Persistence).await,
        Severity::Limit,
        "appendfsync no",
    );
    set(&server, "appendfsync", "always");
    expect(
        &worst(&pool, Topic::Persistence).await,
        Severity::Good,
        "before the answer",
    );
}

/// Before the first call meets MISCONF.
#[tokio::test]
async fn a_snapshot_that_failed_is_found() {
    let server = RedisServer::start_with(&["--save", "3600 1"]);
    let pool = pool(server.admin_url()).await;
    let has_failed = async || {
        let found = examine(&pool).await;
        let mut findings = found.findings().iter();
        findings.any(|it| it.severity == Severity::Warning && it.to_string().contains("MISCONF"))
    };
    assert!(!has_failed().await);
    // It is written beside this, and cannot take its place.
    fs::create_dir(dir(&server).join("dump.rdb")).unwrap();
    server.raw(&["BGSAVE"]).unwrap();
    eventually_async("the snapshot has failed", has_failed).await;
    let refused = pool.lock("k").wait(Duration::from_millis(20)).acquire();
    let refused = refused.await.unwrap_err();
    assert!(refused.to_string().contains("MISCONF"), "{refused}");
    set(&server, "stop-writes-on-bgsave-error", "no");
    assert!(!has_failed().await);
    pool.lock("k").acquire().await.unwrap().release().await;
}

#[tokio::test]
async fn an_aof_that_cannot_be_written_is_found() {
    let server = RedisServer::start();
    let pool = pool(server.admin_url()).await;
    let aof = dir(&server).join("appendonlydir");
    fs::create_dir(&aof).unwrap();
    os::unix::fs::symlink("/dev/full", aof.join("temp-appendonly.aof.incr")).unwrap();
    set(&server, "appendonly", "yes");
    server.raw(&["SET", "x", "y"]).unwrap();
    eventually_async("the disk is full", || async {
        let found = worst(&pool, Topic::Persistence).await;
        found.severity == Severity::Warning
            && found.to_string().contains("the AOF cannot be written")
    })
    .await;
}
