//! What goes wrong, one thing at a time. All of it together is in the campaigns.

use std::sync::Arc;

use super::*;
use lockattr_tests::{Direction, Policy, Proxy};

/// The waiter's connection is closed, so no process would hear of the handoff there.
#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_that_lost_its_connection_has_its_turn() {
    let server = PostgresServer::start();
    let window = Duration::from_secs(600);
    let (holder, other) = (
        pool(&server).await,
        builder(&server.url()).claim_window(window),
    );
    let other = other.build().await.unwrap();
    let guard = holder.lock("k").await.unwrap();
    let waiting = tokio::spawn(async move { other.lock("k").wait(Duration::from_secs(60)).await });
    let live = || -> Option<i64> {
        let rows = server.query("select live from lockattr.waiter");
        rows.first().map(|row| row.get(0))
    };
    eventually("it waits", || live().is_some());
    let before = live();
    server
        .execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'locker'");
    eventually("it listens on another connection", || live() != before);
    guard.release().await;
    waiting.await.unwrap().unwrap().release().await;
}

/// It takes the connection, and says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_does_not_keep_the_next_one_from_its_turn() {
    let server = PostgresServer::start();
    let silent = Proxy::start(server.port());
    silent.set(Direction::Replies, Policy::Stall);
    let place = format!("127.0.0.1:{}", server.port());
    let both = format!("127.0.0.1:{},{place}", silent.port());
    let url = server.url().replace(&place, &both);
    let pool = builder(&url).build().await.unwrap();
    pool.lock("k").await.unwrap().release().await;
}

/// A handoff comes only when its commit is on the disk, so a claim lasts more than twice as long.
#[tokio::test(flavor = "multi_thread")]
async fn claims_last_longer_where_commits_are_slow() {
    let slow = ["fsync=on", "commit_delay=100000", "commit_siblings=0"];
    let slow = slow.map(|setting| ["-c", setting]).concat();
    let server = PostgresServer::start_with(&slow);
    let build = || {
        builder(&server.url())
            .claim_window(Duration::from_millis(300))
            .build()
    };
    let (one, other) = (build().await.unwrap(), build().await.unwrap());
    let guard = one.lock("k").await.unwrap();
    let waiting = tokio::spawn(async move { other.lock("k").wait(Duration::from_secs(60)).await });
    let claim = || -> Option<i32> {
        let rows = server.query("select claim from lockattr.waiter");
        rows.first().map(|row| row.get(0))
    };
    eventually("it waits", || claim().is_some());
    assert!(claim().is_some_and(|millis| millis > 200), "{:?}", claim());
    guard.release().await;
    let guard = waiting.await.unwrap().unwrap();
    eventually_async("it is renewed", async || {
        guard.lease().extend(Duration::from_secs(60)).await.is_ok()
    })
    .await;
    guard.release().await;
}

/// Handoffs are dated by the clock of the connection where they are told, which no attempt may take.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_only_listens_asks_for_the_clock() {
    let server = PostgresServer::start();
    let engine = Postgres::new().listen_url(&server.url());
    let builder = LockPool::builder().engine(engine).url(server.url());
    let pool = builder.build().await.unwrap();
    let asked = "select from pg_stat_activity where query = 'select \"lockattr\".micros(clock_timestamp())'";
    eventually("it asks", || !server.query(asked).is_empty());
    drop(pool);
}

/// As after a sweep that has not seen the waiter.
#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_that_asks_again_is_known() {
    let server = PostgresServer::start();
    let pool = pool(&server).await;
    let guard = pool.lock("k").await.unwrap();
    let other = self::pool(&server).await;
    let waiting = tokio::spawn(async move { other.lock("k").wait(Duration::from_secs(60)).await });
    let is_waited = || {
        let rows = server.query("select is_waited from lockattr.lock");
        rows.first().is_some_and(|row| row.get(0))
    };
    eventually("it waits", is_waited);
    server.execute("update lockattr.lock set is_waited = false");
    eventually("it is known again", is_waited);
    guard.release().await;
    waiting.await.unwrap().unwrap().release().await;
}

/// It is passed over: its session ended with it, and no process waits for its claim.
#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_that_is_gone_costs_nothing() {
    let server = PostgresServer::start();
    let window = Duration::from_secs(600);
    let build = || builder(&server.url()).claim_window(window).build();
    let (holder, gone, next) = (
        build().await.unwrap(),
        build().await.unwrap(),
        build().await.unwrap(),
    );
    let guard = holder.lock("k").await.unwrap();
    let wait = |pool: LockPool| {
        tokio::spawn(async move { pool.lock("k").wait(Duration::from_secs(60)).await })
    };
    let waiters = |count| {
        move |server: &PostgresServer| server.query("select from lockattr.waiter").len() == count
    };
    let first = wait(gone);
    eventually("one waits", || waiters(1)(&server));
    let second = wait(next);
    eventually("two wait", || waiters(2)(&server));
    // As if its process was killed: the server ends its session, and it cannot come back.
    server.execute("update lockattr.waiter set live = 1, channel = 'nobody' where place = (select min(place) from lockattr.waiter)");
    first.abort();
    guard.release().await;
    second.await.unwrap().unwrap().release().await;
}

/// What waits for a row that another session locks is given up, and leaves no session behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_locked_table_costs_no_connections() {
    let server = Arc::new(PostgresServer::start());
    let pool = builder(&server.url())
        .response_timeout(Duration::from_millis(100))
        .build()
        .await
        .unwrap();
    pool.lock("k").await.unwrap().release().await;
    let locked = Arc::clone(&server);
    let blocking = std::thread::spawn(move || {
        locked.execute(
            "begin; lock table lockattr.lock in access exclusive mode; create table locked (); select pg_sleep(3); commit",
        );
    });
    let has_begun = "select from pg_locks where relation = 'lockattr.lock'::regclass and mode = 'AccessExclusiveLock' and granted";
    eventually("the table is locked", || {
        !server.query(has_begun).is_empty()
    });
    let call = pool.lock("k").wait(Duration::from_secs(20)).await.unwrap();
    call.release().await;
    // The session that waited last may still be about to end.
    let sessions = "select from pg_stat_activity where usename = 'locker'";
    eventually("few sessions are left", || {
        server.query(sessions).len() <= 2
    });
    assert!(
        !server
            .query("select from pg_class where relname = 'locked'")
            .is_empty()
    );
    blocking.join().unwrap();
}

/// The answer to an acquire is lost: the lock is not left behind.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_leaves_no_lock() {
    let server = PostgresServer::start();
    let proxy = Proxy::start(server.port());
    let pool = builder(&server.url_at(proxy.port()))
        .response_timeout(Duration::from_millis(200))
        .build()
        .await
        .unwrap();
    pool.lock("k").await.unwrap().release().await;
    for _ in 0..5 {
        proxy.set(Direction::Replies, Policy::Stall);
        let call = tokio::time::timeout(
            Duration::from_millis(50),
            pool.lock("k").ttl(Duration::from_secs(600)),
        );
        assert!(call.await.is_err(), "it was answered");
        proxy.cut();
        proxy.set(Direction::Replies, Policy::Pass);
        eventually("nothing is left", || server.locks().is_empty());
        eventually_async("it goes on", async || {
            pool.lock("k").wait(Duration::from_secs(5)).await.is_ok()
        })
        .await;
    }
}

/// A lease whose row is changed behind the pool's back is lost, and its body is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_taken_away_is_lost() {
    let server = PostgresServer::start();
    let pool = pool(&server).await;
    let run = pool
        .lock("k")
        .ttl(Duration::from_millis(600))
        .run(async |_| {
            server.execute("update lockattr.lock set owner = null");
            std::future::pending::<()>().await;
        });
    assert!(matches!(run.await, Err(Error::Lost { .. })));
}
