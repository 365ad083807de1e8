//! `lockattr-postgres`.

mod faults;
mod fence;
mod pooler;
mod schema;

use std::time::Duration;

use lockattr::conformance::{Conformance, Violations};
use lockattr::{Error, LockPool, LockPoolBuilder, Severity, distributed_lock};
use lockattr_postgres::Postgres;
use lockattr_tests::postgres::{PgBouncer, PostgresServer};
use lockattr_tests::{eventually, eventually_async};

fn builder(url: &str) -> LockPoolBuilder {
    LockPool::builder().engine(Postgres::new()).url(url)
}

async fn pool(server: &PostgresServer) -> LockPool {
    builder(&server.url()).build().await.expect("a pool")
}

async fn conforms(settings: LockPoolBuilder) -> Result<(), Violations> {
    let checks = Conformance::of(settings).ttl(Duration::from_millis(600));
    checks.check().await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms() -> Result<(), Violations> {
    let server = PostgresServer::start();
    conforms(builder(&server.url())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms_with_two_connections() -> Result<(), Violations> {
    let server = PostgresServer::start();
    let engine = Postgres::new().connections(2);
    conforms(LockPool::builder().engine(engine).url(server.url())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms_behind_a_pooler() -> Result<(), Violations> {
    let server = PostgresServer::start();
    let pooler = PgBouncer::start(&server, "transaction");
    conforms(builder(&server.url_at(pooler.port()))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms_with_a_way_around_the_pooler() -> Result<(), Violations> {
    let server = PostgresServer::start();
    let pooler = PgBouncer::start(&server, "transaction");
    let engine = Postgres::new().listen_url(&server.url());
    let settings = LockPool::builder().engine(engine);
    conforms(settings.url(server.url_at(pooler.port()))).await
}

#[distributed_lock(key = "order:{id}", ttl = "5s", pool = pool)]
async fn pay(pool: &LockPool, id: u32) -> Result<u64, Error> {
    let lease = lockattr::current().expect("it runs under a lease");
    assert_eq!(
        pool.holder(lease.key()).await?.map(|it| it.fencing_token),
        Some(Some(lease.fencing_token()))
    );
    Ok(lease.fencing_token() + u64::from(id) - u64::from(id))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_attribute_is_the_same() {
    let server = PostgresServer::start();
    let pool = pool(&server).await;
    let first = pay(&pool, 7).await.unwrap();
    assert!(pay(&pool, 7).await.unwrap() > first);
    assert!(server.locks().is_empty());
    let shown = format!("{pool:?}");
    assert!(
        shown.contains("postgres://127.0.0.1") && !shown.contains("locker"),
        "{shown}"
    );
}

/// Rows of keys that are not used are removed, and tokens grow nevertheless: also when the clock goes back.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_and_tokens_grow() {
    let server = PostgresServer::start();
    let pool = pool(&server).await;
    let before = pay(&pool, 1).await.unwrap();
    // As if its grant had been from the future, or long ago.
    server.execute(
        "update lockattr.lock set fence = fence + 3600000000, since = clock_timestamp() - interval '1 minute'",
    );
    server.execute("insert into lockattr.tombstone values ('someone', clock_timestamp())");
    server.execute("select lockattr.sweep_v1(1000)");
    let left =
        "select (select count(*) from lockattr.lock) + (select count(*) from lockattr.tombstone)";
    assert_eq!(server.query(left)[0].get::<_, i64>(0), 0);
    let after = pay(&pool, 1).await.unwrap();
    assert!(after >= before + 3_600_000_000, "{before} {after}");
}

/// As after a failover to a standby that has missed the latest grants.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_grow_though_the_counter_went_back() {
    let server = PostgresServer::start();
    let pool = pool(&server).await;
    let before = pay(&pool, 1).await.unwrap();
    server.execute("update lockattr.lock set fence = 1, token = 1");
    let after = pay(&pool, 1).await.unwrap();
    assert!(after > before, "{before} {after}");
}

/// The pool does so by itself while it is idle.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_pool_removes_what_is_over() {
    let server = PostgresServer::start();
    let pool = pool(&server).await;
    pay(&pool, 1).await.unwrap();
    server.execute("update lockattr.lock set since = clock_timestamp() - interval '1 minute'");
    let is_empty = || server.query("select from lockattr.lock").is_empty();
    eventually("the row is removed", is_empty);
}

/// It does so also while it is busy, in portions.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_pool_removes_what_is_over() {
    let server = PostgresServer::start();
    let pool = pool(&server).await;
    server.execute(
        "insert into lockattr.lock (key, fence) select 'old' || g, g from generate_series(1, 1700) g",
    );
    server.execute(
        "insert into lockattr.tombstone select 'o' || g, now() from generate_series(1, 900) g",
    );
    let calls = tokio::spawn(async move {
        loop {
            pay(&pool, 1).await.unwrap();
        }
    });
    let left =
        "select (select count(*) from lockattr.lock) + (select count(*) from lockattr.tombstone)";
    let is_over = || server.query(left)[0].get::<_, i64>(0) <= 1;
    eventually("what is over is removed", is_over);
    calls.abort();
}

/// Acquire, renewal and release change no index.
#[tokio::test(flavor = "multi_thread")]
async fn updates_stay_on_their_page() {
    let server = PostgresServer::start();
    let pool = pool(&server).await;
    for _ in 0..500 {
        pay(&pool, 1).await.unwrap();
    }
    // The statistics come with some delay.
    eventually("nearly all updates are HOT", || {
        let seen = server.query(
            "select n_tup_upd, n_tup_hot_upd from pg_stat_all_tables where relid = 'lockattr.lock'::regclass",
        );
        let (all, hot): (i64, i64) = (seen[0].get(0), seen[0].get(1));
        all >= 900 && hot >= all - all / 50
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_sees_what_the_server_promises() {
    let server = PostgresServer::start();
    let found = lockattr::doctor(&pool(&server).await)
        .await
        .unwrap()
        .to_string();
    assert!(
        found.contains("fsync") && found.contains("one server"),
        "{found}"
    );
    server.execute("revoke update on lockattr.lock from locker");
    let found = builder(&server.url()).build().await;
    let refused = found.unwrap_err().to_string();
    assert!(
        refused.contains("grant select, insert, update, delete"),
        "{refused}"
    );
    server.execute(
        "grant update on lockattr.lock to locker; alter role locker set synchronous_commit = off",
    );
    let found = lockattr::doctor(&pool(&server).await).await.unwrap();
    assert_eq!(found.worst(), Severity::Warning);
}
