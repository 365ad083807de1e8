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
