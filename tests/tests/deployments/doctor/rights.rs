//! What the pool's user may not do, and what follows.

use super::*;

#[tokio::test]
async fn rights_that_are_missing_are_named() {
    let server = RedisServer::start();
    let all = pool(user(&server, &[])).await;
    expect(
        &worst(&all, Topic::Rights).await,
        Severity::Good,
        "all that the scripts do",
    );
    for command in ["get", "set", "del", "exists", "pexpire", "pttl"] {
        let missing = format!("-{command}");
        let refused = builder(user(&server, &[&missing]))
            .build()
            .await
            .unwrap_err();
        let text = refused.to_string();
        assert!(
            text.contains(&command.to_uppercase()) && text.contains("docs/operations.md"),
            "{text}"
        );
        assert!(
            matches!(
                refused,
                Error::Config {
                    setting: "server",
                    ..
                }
            ),
            "{text}"
        );
    }
    for command in ["lpop", "lpos", "lrem", "rpush", "publish"] {
        let missing = format!("-{command}");
        let some = pool(user(&server, &[&missing])).await;
        expect(
            &worst(&some, Topic::Rights).await,
            Severity::Warning,
            &command.to_uppercase(),
        );
    }
    for command in ["hdel", "hget", "hgetall", "hlen", "hset", "lindex"] {
        let missing = format!("-{command}");
        let some = pool(user(&server, &[&missing])).await;
        expect(
            &worst(&some, Topic::Rights).await,
            Severity::Limit,
            &command.to_uppercase(),
        );
    }
    // Other names than ours.
    let refused = builder(user(&server, &["resetkeys", "~other:*"]))
        .build()
        .await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .to_lowercase()
            .contains("no permissions")
    );
    let channels = pool(user(&server, &["resetchannels", "&other:*"])).await;
    expect(
        &worst(&channels, Topic::Rights).await,
        Severity::Warning,
        "PUBLISH",
    );
    expect(
        &worst(&channels, Topic::Messages).await,
        Severity::Warning,
        "SUBSCRIBE",
    );
}

#[tokio::test]
async fn what_may_not_be_read_is_not_assumed() {
    let server = RedisServer::start_with(&["--appendonly", "yes"]);
    let no_info = pool(user(&server, &["-info"])).await;
    for topic in [Topic::Eviction, Topic::Persistence] {
        expect(
            &worst(&no_info, topic).await,
            Severity::Warning,
            "no right to INFO",
        );
    }
    for topic in [Topic::Version, Topic::Replication] {
        expect(
            &worst(&no_info, topic).await,
            Severity::Unknown,
            "no right to INFO",
        );
    }
    let no_config = pool(user(&server, &["-config"])).await;
    for topic in [Topic::IdleTimeout, Topic::Persistence] {
        expect(
            &worst(&no_config, topic).await,
            Severity::Unknown,
            "no right to CONFIG GET",
        );
    }
    let log = server.raw(&["ACL", "LOG"]).unwrap();
    assert_eq!(
        log,
        Value::Array(Vec::new()),
        "nothing that is forbidden is tried"
    );
}
