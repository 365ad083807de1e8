//! The checks when a pool is built, and their errors.

use std::time::Duration;

use lockattr::{Error, LockPool, LockPoolBuilder, RedisOptions};
use lockattr_tests::{CANARY, Policy, Proxy, RIGHTS, RedisServer, eventually};
use redis::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

fn builder(url: impl AsRef<str>) -> LockPoolBuilder {
    LockPool::builder().url(url)
}

/// Returns the wrong setting and the reason.
async fn refused(builder: LockPoolBuilder) -> (&'static str, String) {
    let error = builder.build().await.unwrap_err();
    let text = error.to_string();
    println!("{text}");
    match error {
        Error::Config { setting, .. } => (setting, text),
        _ => panic!("{text}"),
    }
}

#[tokio::test]
async fn a_node_of_a_cluster_is_refused_later_too() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let pool = builder(server.admin_url_at(proxy.port()))
        .build()
        .await
        .unwrap();
    let mut cluster = RedisServer::start_with(&["--cluster-enabled", "yes"]);
    // The pool's address now leads to another server.
    proxy.lead_to(cluster.port());
    proxy.cut();
    eventually("it is told", || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let request = pool.lock("k").wait(Duration::from_millis(50)).acquire();
        let failed = std::thread::spawn(move || runtime.unwrap().block_on(request)).join();
        failed
            .unwrap()
            .is_err_and(|error| error.to_string().contains("node of a Redis Cluster"))
    });
    cluster.kill();
    assert!(server.locks().is_empty());
}

/// Answers the same to every command, or ends the connection at the first one.
async fn fake(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(1..) = client.read(&mut buffer).await {
                    if answer.is_empty() || client.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    format!("redis://{address}/")
}

#[tokio::test]
async fn a_server_or_proxy_without_hello_is_told_what_is_missing() {
    let renamed = RedisServer::start_with(&["--rename-command", "HELLO", ""]);
    for url in [renamed.admin_url(), renamed.url()] {
        // Scripts are enough; waiters ask again and again then.
        let pool = builder(url).build().await.unwrap();
        pool.lock("k").acquire().await.unwrap().release().await;
    }
    for url in [
        fake(b"-unsupported command 'HELLO'\r\n").await,
        fake(b"-ERR unknown command 'HELLO'\r\n").await,
        fake(b"-NOPROTO unsupported protocol version\r\n").await,
    ] {
        let (setting, text) = refused(builder(url)).await;
        assert_eq!(setting, "server");
        for part in ["EVAL", "6.2", "HELLO", "without it"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains(CANARY) && !text.contains("check the URL"));
    }
    for answer in [b"".as_slice(), b"HTTP/1.1 400 Bad Request\r\n\r\n"] {
        let error = builder(fake(answer).await).build().await.unwrap_err();
        assert!(matches!(error, Error::Connect { .. }), "{error}");
        assert!(error.to_string().contains("EVAL"), "{error}");
    }
}

#[tokio::test]
async fn a_command_that_was_renamed_is_named() {
    for command in ["EVALSHA", "EVAL"] {
        let server = RedisServer::start_with(&["--rename-command", command, ""]);
        let (setting, text) = refused(builder(server.url())).await;
        assert_eq!(setting, "server");
        assert!(text.contains(command), "{command}: {text}");
        // The command's arguments stay hidden: they hold the beginning of the pool's owner ids.
        assert!(!text.contains("wake:"), "{text}");
    }
    let server = RedisServer::start_with(&["--rename-command", "INFO", ""]);
    builder(server.url()).build().await.unwrap();
    let (setting, text) =
        refused(builder(server.url()).redis(RedisOptions::new().strict(true))).await;
    assert!(setting == "server" && text.contains("INFO"), "{text}");
}

/// An operator who looks for intruders in the log of refused commands finds no entry of ours.
#[tokio::test]
async fn the_log_of_refused_commands_stays_empty() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let pool = builder(server.url_at(proxy.port()))
        .redis(RedisOptions::new().connections(2))
        .build()
        .await
        .unwrap();
    for _ in 0..5 {
        proxy.cut();
        let request = pool.lock("k").wait(lockattr_tests::Service::LONG);
        request.acquire().await.unwrap().release().await;
    }
    let log = server.raw(&["ACL", "LOG"]).unwrap();
    assert_eq!(log, Value::Array(Vec::new()), "{RIGHTS}");
}

#[tokio::test]
async fn a_claim_window_that_is_too_short_for_the_way_is_refused() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    proxy.set_both(Policy::Delay(Duration::from_millis(10)));
    let millis = Duration::from_millis;
    let at = |window| builder(server.url_at(proxy.port())).claim_window(window);
    let (setting, text) = refused(at(millis(100))).await;
    assert_eq!(setting, "claim_window");
    assert!(
        text.contains("100ms") && text.contains("round trip of 2"),
        "{text}"
    );
    at(millis(1000)).build().await.unwrap();
}

/// The lease goes from one process to the next with the shortest window, without a gap.
#[tokio::test(flavor = "multi_thread")]
async fn the_least_claim_window_works_nearby() {
    let server = RedisServer::start();
    let pool = || {
        builder(server.url())
            .claim_window(Duration::from_millis(50))
            .build()
    };
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let pool = pool().await.unwrap();
        tasks.push(tokio::spawn(async move {
            for _ in 0..50 {
                let guard = pool.lock("k").acquire().await.unwrap();
                guard.release().await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// Values by which users mean that there is no limit.
#[tokio::test]
async fn the_largest_settings_are_refused_or_work() {
    let server = RedisServer::start();
    let most = Duration::MAX;
    for url in [server.url(), "memory://the_largest_settings".to_owned()] {
        let settings: [fn(LockPoolBuilder) -> LockPoolBuilder; 8] = [
            |b| b.claim_window(Duration::MAX),
            |b| b.response_timeout(Duration::MAX),
            |b| b.connect_timeout(Duration::MAX),
            |b| b.batch_time(Duration::MAX),
            |b| b.batch_size(u32::MAX),
            |b| b.max_in_flight(usize::MAX),
            |b| b.default_wait(Duration::MAX),
            |b| {
                b.redis(RedisOptions::new().connections(1024))
                    .connect_timeout(Duration::from_secs(20))
            },
        ];
        for (number, set) in settings.into_iter().enumerate() {
            let pool = set(builder(&url)).build().await.unwrap();
            let other = set(builder(&url)).build().await.unwrap();
            let guard = pool
                .lock("k")
                .wait(most)
                .max_hold(most)
                .acquire()
                .await
                .unwrap();
            let waiting = tokio::spawn(other.lock("k").wait(most).acquire());
            lockattr_tests::eventually_async("it waits", || async { other.stats().waited == 1 })
                .await;
            guard.release().await;
            let guard = waiting.await.unwrap().unwrap();
            assert!(guard.lease().is_valid(), "{number}");
            guard.release().await;
            assert_eq!(
                (pool.stats().restarted, other.stats().restarted),
                (0, 0),
                "{number}"
            );
            pool.shutdown(most).await.unwrap();
        }
        for (setting, wrong) in [
            (
                "connections",
                builder(&url).redis(RedisOptions::new().connections(usize::MAX)),
            ),
            ("default_ttl", builder(&url).default_ttl(most)),
        ] {
            assert_eq!(refused(wrong).await.0, setting);
        }
    }
}

/// The database in the URL is used.
#[tokio::test]
async fn locks_are_in_the_database_of_the_url() {
    let server = RedisServer::start();
    let base = format!("redis://127.0.0.1:{}", server.port());
    let valkey = base.replace("redis:", "VALKEY:");
    let unix = server.unix_url();
    let unix = unix.split('?').next().unwrap();
    for (url, database) in [
        (base.clone(), "0"),
        (format!("{base}/2"), "2"),
        (format!("{base}?db=2"), "2"),
        (format!("{base}/3/?db=3&protocol=resp3"), "3"),
        (format!("{valkey}/1"), "1"),
        (format!("{unix}?db=4"), "4"),
        (unix.replace("redis+unix", "valkey+unix"), "0"),
    ] {
        let pool = builder(&url).build().await.unwrap();
        let guard = pool.lock("k").acquire().await.unwrap();
        let mut looking = server.connection();
        redis::cmd("SELECT")
            .arg(database)
            .exec(&mut looking)
            .unwrap();
        let locks: Vec<String> = redis::cmd("KEYS").arg("*:k").query(&mut looking).unwrap();
        assert_eq!(locks.len(), 1, "{url}");
        guard.release().await;
    }
}

/// As the operator has it, and percent-encoded: it works, or the error says what to write.
#[tokio::test]
async fn passwords_with_any_character() {
    for password in [
        "p@ss", "p/w", "p#w", "p?w", "p%w", "p:w", "a b", "pä€", "p%40w", "+", "[x]",
    ] {
        let server = RedisServer::start();
        let user = ["ACL", "SETUSER", "default", "resetpass"];
        let set: Vec<&str> = user.into_iter().collect();
        let secret = format!(">{password}");
        server
            .raw(&[&set[..], &[secret.as_str()]].concat())
            .unwrap();
        let encoded: String = password
            .bytes()
            .fold(String::new(), |text, byte| text + &format!("%{byte:02X}"));
        let url = |text: &str| format!("redis://:{text}@127.0.0.1:{}/", server.port());
        builder(url(&encoded)).build().await.unwrap();
        if let Err(error) = builder(url(password)).build().await {
            let text = format!("{error} {error:?}");
            let shown = text.replace("%40", "").replace("`+`", "");
            assert!(password.len() == 1 || !shown.contains(password), "{text}");
            if password.contains(['/', '#', '?']) {
                assert!(text.contains("percent-encode"), "{text}");
            }
        }
    }
}
