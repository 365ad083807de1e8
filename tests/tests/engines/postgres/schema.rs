//! The schema: made on request, or missing.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_schema_is_named_with_its_remedy() {
    let server = PostgresServer::start();
    let url = format!("{}?schema=shop_locks", server.admin_url());
    let refused = builder(&url).build().await.unwrap_err().to_string();
    for part in ["shop_locks", "create_schema(true)", "schema_sql"] {
        assert!(refused.contains(part), "{refused}");
    }
    // Several processes start at the same time.
    let engine = Postgres::new().create_schema(true);
    let builder = LockPool::builder().engine(engine).url(&url);
    let (one, other) = tokio::join!(builder.clone().build(), builder.clone().build());
    let (one, other) = (one.unwrap(), other.unwrap());
    let guard = one.lock("k").await.unwrap();
    assert!(other.lock("k").try_acquire().await.unwrap().is_none());
    guard.release().await;
    // It is there already.
    builder.build().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn its_name_may_be_a_word_of_sql() {
    let server = PostgresServer::start();
    let engine = Postgres::new().create_schema(true);
    let url = format!("{}?schema=user", server.admin_url());
    let pool = LockPool::builder().engine(engine).url(url).build().await;
    let pool = pool.unwrap();
    pool.lock("k").await.unwrap().release().await;
    assert!(pool.holder("k").await.unwrap().is_none());
    assert!(lockattr::doctor(&pool).await.unwrap().worst() < Severity::Broken);
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_that_overlook_commits_are_refused() {
    let server = PostgresServer::start();
    server.execute("alter role locker set default_transaction_isolation = 'repeatable read'");
    let refused = builder(&server.url())
        .build()
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("set default_transaction_isolation = 'read committed'"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_to_make_it_may_be_missing() {
    let server = PostgresServer::start();
    let engine = Postgres::new().create_schema(true);
    let url = format!("{}?schema=shop_locks", server.url());
    let refused = LockPool::builder().engine(engine).url(url).build().await;
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("cannot be made") && refused.contains("permission"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_is_refused() {
    let server = PostgresServer::start();
    server.execute("update lockattr.version set version = 2");
    let refused = builder(&server.url())
        .build()
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("version 2"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_connected_to_is_named_without_secrets() {
    let server = PostgresServer::start();
    let wrong = server.url().replace(lockattr_tests::CANARY, "wrong");
    let refused = builder(&wrong).build().await.unwrap_err();
    let text = format!("{refused} {refused:?}");
    assert!(
        text.contains("password authentication failed") && !text.contains("wrong"),
        "{text}"
    );
    let without = LockPool::builder()
        .url(server.url())
        .build()
        .await
        .unwrap_err();
    assert!(
        without
            .to_string()
            .contains("lockattr_postgres::Postgres::new()"),
        "{without}"
    );
}
