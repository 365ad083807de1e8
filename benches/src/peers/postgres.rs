//! Locks in `PostgreSQL` that users write by hand.

use deadpool_postgres::{Manager, Object, Pool};
use tokio_postgres::NoTls;

use super::{RETRY, TTL};

/// The default of many pools.
const CONNECTIONS: usize = 10;

/// Makes the table of [`TableLock`].
pub(crate) const TABLE: &str = "create table by_hand (key text primary key, owner bigint not null, ends timestamptz not null); \
     grant select, insert, update, delete on by_hand to public";

const LOCK: &str = "select pg_advisory_lock(hashtextextended($1, 0))";
const UNLOCK: &str = "select pg_advisory_unlock(hashtextextended($1, 0))";

const INSERT: &str = "insert into by_hand values ($1, $2, now() + $3 * interval '1 s') \
     on conflict (key) do update set owner = excluded.owner, ends = excluded.ends where by_hand.ends < now()";
const DELETE: &str = "delete from by_hand where key = $1 and owner = $2";

/// An advisory lock of a session, which keeps its connection while it is waited for and held.
#[derive(Clone)]
pub(crate) struct AdvisoryLock(Pool);

/// A row that ends, asked for again and again.
#[derive(Clone)]
pub(crate) struct TableLock(Pool);

impl AdvisoryLock {
    pub(crate) fn connect(url: &str) -> Self {
        Self(pool(url))
    }

    pub(crate) async fn hold<R>(&self, key: &str, section: impl AsyncFnOnce() -> R) -> R {
        let connection = connection(&self.0).await;
        let lock = connection.prepare_cached(LOCK).await.expect("a statement");
        let locked = connection.query_one(&lock, &[&key]).await;
        locked.expect("the server is there");
        let result = section().await;
        let unlock = connection
            .prepare_cached(UNLOCK)
            .await
            .expect("a statement");
        let unlocked = connection.query_one(&unlock, &[&key]).await;
        assert!(unlocked.expect("the server is there").get::<_, bool>(0));
        result
    }
}

impl TableLock {
    pub(crate) fn connect(url: &str) -> Self {
        Self(pool(url))
    }

    pub(crate) async fn hold<R>(&self, key: &str, section: impl AsyncFnOnce() -> R) -> R {
        let owner = fastrand::i64(..);
        while !self.insert(key, owner).await {
            tokio::time::sleep(RETRY).await;
        }
        let result = section().await;
        let connection = connection(&self.0).await;
        let delete = connection
            .prepare_cached(DELETE)
            .await
            .expect("a statement");
        let deleted = connection.execute(&delete, &[&key, &owner]).await;
        assert_eq!(deleted.expect("the server is there"), 1);
        result
    }

    async fn insert(&self, key: &str, owner: i64) -> bool {
        let connection = connection(&self.0).await;
        let insert = connection
            .prepare_cached(INSERT)
            .await
            .expect("a statement");
        let ttl = TTL.as_secs_f64();
        let inserted = connection.execute(&insert, &[&key, &owner, &ttl]).await;
        inserted.expect("the server is there") == 1
    }
}

/// Its connections are made when they are needed.
fn pool(url: &str) -> Pool {
    let manager = Manager::new(url.parse().expect("a URL"), NoTls);
    let pool = Pool::builder(manager).max_size(CONNECTIONS);
    pool.build().expect("no time limits, so no timer")
}

async fn connection(pool: &Pool) -> Object {
    pool.get().await.expect("the server is there")
}
