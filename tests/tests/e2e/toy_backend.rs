//! A backend that is written outside of the crate.

mod store;

use std::future::ready;
use std::time::Duration;

use lockattr::conformance::{Conformance, Violations};
use lockattr::{Error, LockPool};
use store::{Connection, Store};

#[tokio::test]
async fn it_conforms() -> Result<(), Violations> {
    let store = Store::default();
    let checks = Conformance::new(move |_| ready(Ok(Connection::to(store.clone()))));
    checks.ttl(Duration::from_millis(400)).check().await
}

#[lockattr::distributed_lock(key = "order:{id}", ttl = "5s", pool = pool)]
async fn pay(pool: &LockPool, id: u32) -> Result<u64, Error> {
    let lease = lockattr::current().expect("it runs under a lease");
    Ok(lease.fencing_token() + u64::from(id))
}

#[tokio::test]
async fn the_attribute_uses_it() {
    let store = Store::default();
    let builder =
        LockPool::builder().backend("the toy", move |_| ready(Ok(Connection::to(store.clone()))));
    let pools = [
        builder.clone().build().await.unwrap(),
        builder.build().await.unwrap(),
    ];
    assert!(format!("{:?}", pools[0]).contains("the toy"));
    let guard = pools[0].lock("order:7").acquire().await.unwrap();
    let other = pools[1].lock("order:7");
    assert!(other.clone().try_acquire().await.unwrap().is_none());
    // Nobody made it say who has a key.
    let refused = pools[0].holder("order:7").await.unwrap_err().to_string();
    assert!(refused.contains("`Backend::inspector`"), "{refused}");
    let refused = pools[0].queue("order:7", 9).await.unwrap_err().to_string();
    assert!(refused.contains("`Backend::inspector`"), "{refused}");
    // Without a queue it polls.
    let waiting = tokio::spawn(other.acquire());
    lockattr_tests::eventually_async("it waits", || async { pools[1].stats().waited == 1 }).await;
    guard.release().await;
    waiting.await.unwrap().unwrap().release().await;
    pay(&pools[1], 7).await.unwrap();
}

#[tokio::test]
async fn what_it_cannot_connect_to_is_named() {
    use lockattr::backend::{BackendError, BackendErrorKind};
    let refused = LockPool::builder()
        .backend("the toy", |_| async {
            let error = BackendError::new(BackendErrorKind::Unreachable, "its box is closed");
            Err::<Connection, _>(error)
        })
        .build()
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::Connect { .. }));
    let text = refused.to_string();
    assert!(
        text.contains("the toy") && text.contains("its box is closed"),
        "{text}"
    );
    let late = LockPool::builder()
        .backend("the toy", |_| {
            std::future::pending::<Result<Connection, _>>()
        })
        .connect_timeout(Duration::from_millis(20))
        .build()
        .await
        .unwrap_err();
    assert!(
        late.to_string().contains("no connection within 20ms"),
        "{late}"
    );
}
