//! What is told when a pool starts, and by the doctor.

use std::time::{Duration, Instant};

use lockattr::{BackendErrorKind, Error, LockPool, RedisOptions, Severity, Topic};
use lockattr_tests::{CANARY, Policy, Proxy, Quorum, Service, eventually_async};

use super::{builder, hold, pool, take};

#[tokio::test]
async fn without_a_majority_each_server_is_named() {
    let mut quorum = Quorum::start(3);
    quorum.nodes[0].kill();
    quorum.nodes[2].kill();
    let refused = builder(quorum.url()).build().await.unwrap_err();
    let text = refused.to_string();
    let Error::Connect { source, .. } = &refused else {
        panic!("{text}");
    };
    assert_eq!(source.kind(), BackendErrorKind::Unreachable);
    for node in [0, 2] {
        assert!(
            text.contains(&quorum.nodes[node].port().to_string()),
            "{text}"
        );
    }
    assert!(text.contains("2 of 3 servers"), "{text}");
    assert!(!format!("{text}{refused:?}").contains(CANARY));
}

/// The pool goes on dialling: once there, the server has a vote.
#[tokio::test]
async fn a_server_that_is_missing_at_first_joins_later() {
    let mut quorum = Quorum::start(3);
    quorum.nodes[1].kill();
    let pool = pool(&quorum).await;
    take(&pool, "k").await;
    quorum.nodes[1].restart();
    eventually_async("it has a vote", || async {
        let guard = hold(&pool, "k").await;
        let is_there = !quorum.nodes[1].locks().is_empty();
        guard.release().await;
        is_there
    })
    .await;
    quorum.nodes[0].kill();
    take(&pool, "k").await;
}

#[tokio::test]
async fn a_server_that_hangs_does_not_delay_the_start_for_long() {
    let quorum = Quorum::start(3);
    let silent = Proxy::start(quorum.nodes[0].port());
    silent.set_both(Policy::Drop);
    let ports = [
        silent.port(),
        quorum.nodes[1].port(),
        quorum.nodes[2].port(),
    ];
    let settings = builder(Quorum::url_at(&ports)).connect_timeout(Service::LONG);
    let began = Instant::now();
    let pool = settings.build().await.unwrap();
    assert!(began.elapsed() < Service::LONG / 2);
    take(&pool, "k").await;
}

#[tokio::test]
async fn settings_that_a_quorum_does_not_have_are_refused() {
    let quorum = Quorum::start(3);
    let options = RedisOptions::new().confirm_replicas(1);
    let refused = builder(quorum.url())
        .redis(options)
        .build()
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("quorum"), "{refused}");
    let pool = pool(&quorum).await;
    let refused = pool
        .lock("k")
        .confirm_replicas(1)
        .acquire()
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::Config { .. }), "{refused}");
}

#[tokio::test]
async fn one_server_under_two_names_is_no_quorum() {
    let quorum = Quorum::start(3);
    let again = Proxy::start(quorum.nodes[0].port());
    let url = format!(
        "redis+quorum://127.0.0.1:{},127.0.0.1:{},127.0.0.1:{}",
        quorum.nodes[0].port(),
        quorum.nodes[1].port(),
        again.port(),
    );
    let refused = builder(url).build().await.unwrap_err().to_string();
    assert!(refused.contains("are one server"), "{refused}");
}

#[tokio::test]
async fn the_doctor_says_what_a_quorum_promises() {
    let mut quorum = Quorum::start(3);
    let pool = builder(quorum.admin_url()).build().await.unwrap();
    let found = lockattr::doctor(&pool).await.unwrap();
    println!("{found}");
    assert!(
        found
            .deployment()
            .starts_with("a quorum of 3 servers, each one server, ")
    );
    assert_eq!(found.worst(), Severity::Warning);
    let text = found.to_string();
    assert!(
        text.contains("2 of 3 servers are needed: 1 may be away"),
        "{text}"
    );
    // The servers of these tests have no persistence.
    assert!(text.contains("restart_delay"), "{text}");

    let port = quorum.nodes[2].port().to_string();
    quorum.nodes[2].kill();
    eventually_async("it is missed", || async {
        let found = lockattr::doctor(&pool).await.unwrap();
        let of_it = |finding: &&lockattr::Finding| {
            finding.topic == Topic::Deployment
                && finding
                    .server
                    .as_ref()
                    .is_some_and(|server| server.ends_with(&port))
        };
        let missed = found.findings().iter().find(of_it);
        missed.is_some_and(|finding| finding.severity == Severity::Warning)
    })
    .await;
}

/// A server that was restarted has no vote until all leases have ended that it may have forgotten.
#[tokio::test]
async fn a_server_that_was_restarted_waits() {
    const DELAY: Duration = Duration::from_secs(2);
    let mut quorum = Quorum::start(3);
    let options = RedisOptions::new().restart_delay(DELAY);
    let settings = LockPool::builder()
        .url(quorum.admin_url())
        .default_ttl(DELAY)
        .redis(options);
    eventually_async("all have been up for so long", || async {
        settings.clone().build().await.is_ok()
    })
    .await;
    let pool = settings.clone().build().await.unwrap();
    eventually_async("all have a vote", || async {
        let guard = pool.lock("first").acquire().await.unwrap();
        let locks = quorum.locks().len();
        guard.release().await;
        locks == 3
    })
    .await;
    let restarted = Instant::now();
    quorum.nodes[0].restart();
    eventually_async("it has a vote again", || async {
        let guard = pool.lock("k").acquire().await.unwrap();
        let has_vote = !quorum.nodes[0].locks().is_empty();
        guard.release().await;
        assert!(!has_vote || restarted.elapsed() >= DELAY / 2);
        has_vote
    })
    .await;

    quorum.nodes[0].restart();
    quorum.nodes[1].restart();
    let text = settings.build().await.unwrap_err().to_string();
    assert!(text.contains("no vote for another"), "{text}");
}

#[tokio::test]
async fn a_restart_delay_needs_the_right_to_ask() {
    let quorum = Quorum::start(3);
    let options = RedisOptions::new().restart_delay(Duration::from_secs(60));
    let refused = builder(quorum.url())
        .redis(options)
        .build()
        .await
        .unwrap_err();
    let text = refused.to_string();
    assert!(
        text.contains("restart_delay") && text.contains("INFO"),
        "{text}"
    );
}
