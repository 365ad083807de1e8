//! Behind `PgBouncer`.

use super::*;
use lockattr::Topic;

async fn says_about_messages(builder: LockPoolBuilder) -> Severity {
    let pool = builder.build().await.expect("a pool");
    let found = lockattr::doctor(&pool).await.expect("it answers");
    let mut findings = found.findings().iter();
    findings
        .find(|it| it.topic == Topic::Messages)
        .expect("it says so")
        .severity
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_is_noticed() {
    let server = PostgresServer::start();
    assert_eq!(
        says_about_messages(builder(&server.url())).await,
        Severity::Good
    );
    let pooler = PgBouncer::start(&server, "transaction");
    let behind = server.url_at(pooler.port());
    for _ in 0..3 {
        assert_eq!(says_about_messages(builder(&behind)).await, Severity::Limit);
    }
    let engine = Postgres::new().listen_url(&server.url());
    let around = LockPool::builder().engine(engine).url(&behind);
    assert_eq!(says_about_messages(around).await, Severity::Good);
    // Each of its connections has a process of its own.
    let sessions = PgBouncer::start(&server, "session");
    let behind = builder(&server.url_at(sessions.port()));
    assert_eq!(says_about_messages(behind).await, Severity::Good);
}

/// Whichever of its processes a pooler prefers, and though it has but one.
#[tokio::test(flavor = "multi_thread")]
async fn poolers_with_few_processes_are_noticed() {
    let server = PostgresServer::start();
    for settings in [
        "default_pool_size = 1",
        "default_pool_size = 2\nserver_round_robin = 1",
        "default_pool_size = 3\nserver_round_robin = 1",
    ] {
        let pooler = PgBouncer::start_with(&server, "transaction", settings);
        let behind = builder(&server.url_at(pooler.port()));
        let severity = says_about_messages(behind).await;
        assert_eq!(severity, Severity::Limit, "{settings}");
    }
}

/// No connection listens, so the next one has to ask: within a quarter of a second, not at the end of a claim window.
#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_asks_for_its_turn() {
    let server = PostgresServer::start();
    let pooler = PgBouncer::start(&server, "transaction");
    let behind = || builder(&server.url_at(pooler.port())).claim_window(Duration::from_secs(600));
    let (one, other) = (
        behind().build().await.unwrap(),
        behind().build().await.unwrap(),
    );
    let guard = one.lock("k").await.unwrap();
    let waiting = tokio::spawn(async move { other.lock("k").wait(Duration::from_secs(60)).await });
    eventually("it waits", || {
        !server.query("select from lockattr.waiter").is_empty()
    });
    guard.release().await;
    waiting.await.unwrap().unwrap().release().await;
}

/// Each pool asks for several things at a time. The pooler gives the second answer to the client that has the server then, unless
/// the pool waits for the first one.
#[tokio::test(flavor = "multi_thread")]
async fn answers_are_not_exchanged() {
    let server = PostgresServer::start();
    let pooler = PgBouncer::start(&server, "transaction");
    let url = server.url_at(pooler.port());
    // Without leases that are passed on, so that the server knows each token.
    let pools = (0..8).map(|_| builder(&url).batch_size(1).build());
    let pools = futures_util::future::try_join_all(pools).await.unwrap();
    let calls = (0..64).map(|task| {
        let pool = pools[task % pools.len()].clone();
        tokio::spawn(async move {
            for call in 0..20 {
                let key = format!("k{}", (task + call) % 6);
                let guard = pool
                    .lock(&*key)
                    .wait(Duration::from_secs(60))
                    .await
                    .unwrap();
                let holder = pool.holder(&*key).await.unwrap().expect("it is held");
                assert_eq!(holder.fencing_token, Some(guard.fencing_token()));
                guard.release().await;
            }
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
}
