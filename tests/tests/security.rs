//! Secrets are not shown, and each documented right is needed.

use std::fs;
use std::process::Command;
use std::time::Duration;

use lockattr::{BackendErrorKind, Error, Finding, LockPool, RedisOptions, Severity, Topic};
use lockattr_tests::{CANARY, Proxy, RIGHTS, RedisServer, Service, find_secret, trace_file};

/// `tests/run` searches the traces and the output of the whole suite; this test checks texts that
/// are shown only on request.
#[tokio::test]
async fn neither_passwords_nor_owner_ids_show() {
    trace_file();
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let builder = LockPool::builder()
        .url(server.url_at(proxy.port()))
        .default_ttl(Duration::from_millis(200));
    let mut said = format!("{builder:?}");
    let pool = builder.build().await.unwrap();
    let guard = pool.lock("k").acquire().await.unwrap();
    let value: String = redis::cmd("GET")
        .arg(&server.locks()[0])
        .query(&mut server.connection())
        .unwrap();
    assert!(
        find_secret(value.as_bytes()).is_some(),
        "the search knows an owner id: {}",
        value.len()
    );
    said += &format!("{pool:?} {guard:?} {:?}", pool.lock("k"));
    said += &format!(
        "{}",
        pool.lock("k")
            .wait(Duration::from_millis(10))
            .acquire()
            .await
            .unwrap_err()
    );
    proxy.refuse(true);
    proxy.cut();
    let lost = guard.lease().lost().await;
    let failed = pool
        .lock("k")
        .wait(Duration::from_millis(50))
        .acquire()
        .await
        .unwrap_err();
    said += &format!("{lost:?} {failed} {failed:?}");
    let wrong = LockPool::builder()
        .url(server.url().replace(CANARY, &format!("wrong-{CANARY}")))
        .build()
        .await
        .unwrap_err();
    assert!(
        matches!(&wrong, Error::Connect { source, .. } if source.kind() == BackendErrorKind::Refused),
        "{wrong}"
    );
    said += &format!("{wrong} {wrong:?}");
    assert_eq!(find_secret(said.as_bytes()), None);

    let traced = fs::read_to_string(trace_file()).unwrap();
    for event in [
        "lock acquired",
        "waiting for the lock",
        "lock lost",
        "a renewal failed",
        "no connection to Redis",
    ] {
        assert!(traced.contains(event), "not traced: {event}");
    }
    assert_eq!(find_secret(traced.as_bytes()), None);
}

/// The search at the end of `tests/run`.
#[test]
fn a_secret_in_a_file_fails_the_search() {
    let dir = std::env::temp_dir().join(format!("lockattr-planted-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let search = || {
        let mut search = Command::new(env!("CARGO_BIN_EXE_find_secrets"));
        search.arg(&dir).output().unwrap()
    };
    assert!(!search().status.success(), "there is nothing to search");
    fs::write(dir.join("a"), "harmless").unwrap();
    assert!(search().status.success());
    fs::write(dir.join("b"), format!("url={CANARY}")).unwrap();
    let found = search();
    assert!(!found.status.success());
    let told = String::from_utf8(found.stderr).unwrap();
    assert!(told.contains("url=") && !told.contains(CANARY), "{told}");
    fs::remove_dir_all(dir).unwrap();
}

/// Takes, renews, queues, gives up, hands over and releases; returns whether the lock is free then.
async fn use_locks(server: &RedisServer, url: &str) -> Result<bool, Error> {
    let builder = LockPool::builder()
        .url(url)
        .default_ttl(Service::LONG)
        // Asking again must not replace a message that a waiter misses.
        .claim_window(Service::LONG);
    let (pool, other) = (builder.clone().build().await?, builder.build().await?);
    let guard = pool.lock("k").acquire().await?;
    guard.lease().extend(Service::LONG).await?;
    let diagnosis = lockattr::doctor(&pool).await?;
    let mut findings = diagnosis.findings().iter();
    let is_mute = |it: &Finding| it.topic == Topic::Messages && it.severity > Severity::Good;
    if let Some(finding) = findings.find(|it| is_mute(it)) {
        println!("{finding}");
        return Ok(false);
    }
    let queue = || -> Vec<String> {
        let names = server.keys("*#queue:*");
        names.first().map_or_else(Vec::new, |name| {
            let mut entries = redis::cmd("LRANGE");
            let entries = entries.arg(name).arg(0).arg(-1);
            entries.query(&mut server.connection()).unwrap()
        })
    };
    let quitter = tokio::spawn(other.lock("k").wait(Service::LONG).acquire());
    lockattr_tests::eventually_async("it waits, or has failed", || async {
        quitter.is_finished() || !queue().is_empty()
    })
    .await;
    if quitter.is_finished() {
        return Err(quitter.await.expect("no panic").expect_err("it is held"));
    }
    let given_up = queue();
    quitter.abort();
    let waiting = tokio::spawn(other.lock("k").wait(Duration::from_secs(1)).acquire());
    // Its place is behind the place that was given up, which may still be there.
    lockattr_tests::eventually_async("it waits, or has failed", || async {
        waiting.is_finished() || queue().iter().any(|entry| !given_up.contains(entry))
    })
    .await;
    guard.release().await;
    waiting.await.expect("no panic")?.release().await;
    Ok(share_locks(&pool, &other).await? && server.locks().is_empty())
}

/// The same for holders that have a key at the same time. Returns whether a waiter was told of its lease.
async fn share_locks(pool: &LockPool, other: &LockPool) -> Result<bool, Error> {
    let request = |pool: &LockPool| pool.lock("permits").permits(2);
    let guard = request(pool).acquire().await?;
    guard.extend(Service::LONG).await?;
    let beside = request(other).acquire().await?;
    let waited = other.stats().waited;
    let big = request(other).weight(2).wait(Duration::from_secs(1));
    let waiting = tokio::spawn(big.acquire());
    lockattr_tests::eventually_async("it waits, or has failed", || async {
        waiting.is_finished() || other.stats().waited > waited
    })
    .await;
    guard.release().await;
    beside.release().await;
    waiting.await.expect("no panic")?.release().await;
    Ok(true)
}

/// docs/operations.md lists the rights of the suite's user, and no others.
#[test]
fn the_guide_lists_these_rights() {
    let guide = include_str!("../../docs/operations.md");
    let between = |start, end| guide.split_once(start)?.1.split_once(end);
    let (of_all, _) = between("```text\n-@all", "```").expect("the rights of any pool");
    let (of_shares, _) = between("| `shared` and `permits` | `", "`").expect("those of shares");
    let listed = format!("-@all {of_all} {of_shares}");
    let listed: Vec<&str> = listed.split_whitespace().collect();
    assert_eq!(listed, RIGHTS.split_whitespace().collect::<Vec<_>>());
}

/// The rest of the suite shows that the rights are enough.
#[tokio::test]
async fn no_right_is_superfluous() {
    let server = RedisServer::start();
    let mut superfluous = Vec::new();
    let rights: Vec<&str> = RIGHTS.split(' ').collect();
    for left_out in &rights[1..] {
        let mut connection = server.connection();
        for forget in [["FLUSHALL", "SYNC"].as_slice(), &["SCRIPT", "FLUSH"]] {
            let forget = redis::cmd(forget[0])
                .arg(&forget[1..])
                .exec(&mut connection);
            forget.unwrap();
        }
        redis::cmd("ACL")
            .arg(&["SETUSER", "lesser", "reset", "on", ">pass"])
            .arg(
                rights
                    .iter()
                    .filter(|right| *right != left_out)
                    .collect::<Vec<_>>(),
            )
            .exec(&mut connection)
            .unwrap();
        let url = format!("redis://lesser:pass@127.0.0.1:{}/", server.port());
        match use_locks(&server, &url).await {
            Ok(true) => superfluous.push(left_out),
            Ok(false) => println!("without {left_out}: a lock is left"),
            Err(error) => println!("without {left_out}: {error}"),
        }
    }
    assert!(superfluous.is_empty(), "{superfluous:?}");
    assert!(use_locks(&server, &server.url()).await.unwrap());
}

#[tokio::test]
async fn the_rights_end_with_the_prefix() {
    let server = RedisServer::start();
    let refused = LockPool::builder()
        .url(server.url())
        .redis(RedisOptions::new().prefix("other"))
        .build()
        .await
        .unwrap_err();
    assert!(
        matches!(
            &refused,
            Error::Config {
                setting: "server",
                ..
            }
        ),
        "{refused}"
    );
    let said = refused.to_string().to_lowercase();
    assert!(said.contains("no permissions"), "{refused}");
}

#[tokio::test]
async fn people_see_who_holds_a_lock() {
    let server = RedisServer::start();
    let pool = LockPool::builder().url(server.url()).build().await.unwrap();
    let guard = pool.lock("k").acquire().await.unwrap();
    let value: String = redis::cmd("GET")
        .arg(&server.locks()[0])
        .query(&mut server.connection())
        .unwrap();
    let parts: Vec<&str> = value.splitn(5, ':').collect();
    assert_eq!(parts[0], "1", "the version of the format");
    assert_eq!(parts[2], guard.lease().fencing_token().to_string());
    assert!(
        parts[3].parse::<u64>().unwrap() > 1_700_000_000_000,
        "since when, in ms"
    );
    let who = format!("/{} tests/tests/security.rs:", std::process::id());
    assert!(parts[4].contains(&who), "{value}");
    guard.release().await;
}
