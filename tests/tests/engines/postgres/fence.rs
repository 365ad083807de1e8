//! The token in the transaction of the write.

use super::*;
use lockattr_postgres::{FenceError, FenceIn as _};
use tokio_postgres::{Client, NoTls};

async fn client(server: &PostgresServer) -> Client {
    let (client, connection) = tokio_postgres::connect(&server.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The first holder's lease is over without its knowledge: it may still write until the next one has written.
#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_was_overtaken_is_refused() {
    let server = PostgresServer::start();
    server.execute("create table stock (left_over int); insert into stock values (10); grant all on stock to locker");
    let (one, other) = (pool(&server).await, pool(&server).await);
    let (mut first, mut second) = (client(&server).await, client(&server).await);
    let late = one.lock("item").ttl(Duration::from_secs(60)).await.unwrap();
    one.force_release("item").await.unwrap();
    let next = other.lock("item").await.unwrap();
    let mut write = second.transaction().await.unwrap();
    next.fence_in(&mut write, "lockattr").await.unwrap();
    write
        .execute("update stock set left_over = left_over - 1", &[])
        .await
        .unwrap();
    // The other one has to wait for this transaction, and is refused then.
    let refused = tokio::spawn(async move {
        let mut write = first.transaction().await.unwrap();
        late.fence_in(&mut write, "lockattr").await
    });
    eventually("it waits", || {
        let waiting = "select from pg_locks where not granted";
        !server.query(waiting).is_empty()
    });
    write.commit().await.unwrap();
    assert!(matches!(refused.await.unwrap(), Err(FenceError::Lost)));
    // The holder itself may write again.
    let mut write = second.transaction().await.unwrap();
    next.fence_in(&mut write, "lockattr").await.unwrap();
    write.commit().await.unwrap();
    next.release().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_keys_of_a_lease_are_fenced() {
    let server = PostgresServer::start();
    let pool = pool(&server).await;
    let mut db = client(&server).await;
    let both = pool.lock_all(["a", "b"]).await.unwrap();
    let mut write = db.transaction().await.unwrap();
    both.fence_in(&mut write, "lockattr").await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(server.query("select from lockattr.fenced").len(), 2);
    both.release().await;
    let elsewhere = pool.lock("c").await.unwrap();
    let mut write = db.transaction().await.unwrap();
    let missing = elsewhere.fence_in(&mut write, "nowhere").await;
    assert!(
        matches!(missing, Err(FenceError::Database(_))),
        "{missing:?}"
    );
}
