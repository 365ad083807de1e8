//! The warning about locks that are taken in opposite orders.

use lockattr::{Error, LockPool, distributed_lock, key};
use lockattr_tests::Lines;
use tracing::dispatcher;
use tracing::level_filters::LevelFilter;

const WARNING: &str = "locks are taken in opposite orders";

/// Runs `calls` with a new pool, and returns the warnings.
async fn warnings(check: bool, calls: impl AsyncFnOnce(&LockPool)) -> Vec<String> {
    let lines = Lines::default();
    let _default = dispatcher::set_default(&lines.subscriber(LevelFilter::WARN));
    let builder = LockPool::builder().url("memory://").check_lock_order(check);
    let pool = builder.build().await.unwrap();
    pool.scope(calls(&pool)).await;
    lines.of(WARNING)
}

#[distributed_lock(key = "stock:{id}")]
async fn stock(id: u32, nested: bool) -> Result<(), Error> {
    if nested {
        Box::pin(cash(id, false)).await?;
    }
    Ok(())
}

#[distributed_lock(key = "cash:{id}")]
async fn cash(id: u32, nested: bool) -> Result<(), Error> {
    if nested {
        Box::pin(stock(id, false)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_second_order_is_told_once_with_both() {
    let told = warnings(true, async |_| {
        for id in 0..3 {
            stock(id, true).await.unwrap();
        }
    });
    assert_eq!(told.await, [""; 0]);
    let told = warnings(true, async |_| {
        for id in 3..6 {
            cash(id, true).await.unwrap();
            stock(id, true).await.unwrap();
        }
    });
    let told = told.await;
    assert_eq!(told.len(), 1, "{told:?}");
    let (stock, cash) = (
        concat!(module_path!(), "::stock"),
        concat!(module_path!(), "::cash"),
    );
    assert!(
        told[0].contains(&format!("now `{cash} > {stock}`")),
        "{told:?}"
    );
    assert!(
        told[0].contains(&format!("before `{stock} > {cash}`")),
        "{told:?}"
    );
}

async fn one<F: Future>(pool: &LockPool, body: F) {
    pool.lock("one").run(|_| body).await.unwrap();
}

async fn two<F: Future>(pool: &LockPool, body: F) {
    pool.lock("two").run(|_| body).await.unwrap();
}

async fn three<F: Future>(pool: &LockPool, body: F) {
    pool.lock("three").run(|_| body).await.unwrap();
}

#[tokio::test]
async fn a_cycle_of_three_is_told_by_its_places() {
    let told = warnings(true, async |pool| {
        one(pool, two(pool, async {})).await;
        two(pool, three(pool, async {})).await;
        three(pool, one(pool, async {})).await;
    });
    let told = told.await;
    assert_eq!(told.len(), 1, "{told:?}");
    let (_, before) = told[0].split_once("before").unwrap();
    assert_eq!(before.matches(file!()).count(), 3, "{told:?}");
}

struct Shelf;
struct Till;

impl Shelf {
    #[distributed_lock(key = "shelf")]
    async fn count<F: AsyncFnOnce()>(&self, body: F) -> Result<(), Error> {
        body().await;
        Ok(())
    }
}

impl Till {
    #[distributed_lock(key = "till", ttl = "20s")]
    async fn count<F: AsyncFnOnce()>(&self, body: F) -> Result<(), Error> {
        body().await;
        Ok(())
    }
}

#[tokio::test]
async fn methods_of_one_name_are_told_apart() {
    let told = warnings(true, async |pool| {
        Shelf
            .count(async || one(pool, async {}).await)
            .await
            .unwrap();
        one(pool, async { Till.count(async || {}).await.unwrap() }).await;
    });
    assert_eq!(told.await, [""; 0]);
}

#[distributed_lock(key = "account:{id}", reentrant = true)]
async fn account(id: u32, then: Option<u32>) -> Result<(), Error> {
    match then {
        Some(id) => Box::pin(account(id, None)).await,
        None => Ok(()),
    }
}

async fn both(pool: &LockPool, ids: [u32; 2]) {
    let keys = ids.map(|id| key!("both:{id}"));
    pool.lock_all(keys).run(async |_| ()).await.unwrap();
}

async fn tries<F: Future>(pool: &LockPool, name: &str, body: F) {
    let request = pool.lock(name).wait(std::time::Duration::ZERO);
    request.run(|_| body).await.unwrap();
}

#[tokio::test]
async fn what_cannot_wait_in_a_circle_is_not_told() {
    let told = warnings(true, async |pool| {
        // One function, in an order of its keys that is not seen.
        account(1, Some(2)).await.unwrap();
        account(2, Some(1)).await.unwrap();
        // Nested in the same lease.
        account(1, Some(1)).await.unwrap();
        both(pool, [1, 2]).await;
        both(pool, [2, 1]).await;
        // Who does not wait is not waited for.
        tries(pool, "a", one(pool, async {})).await;
        one(pool, tries(pool, "b", async {})).await;
    });
    assert_eq!(told.await, [""; 0]);
}

#[tokio::test]
async fn it_can_be_switched_off() {
    let told = warnings(false, async |pool| {
        let outer = pool.lock("x");
        let inner = pool.lock("y");
        let nested = async |a: &lockattr::LockRequest, b: &lockattr::LockRequest| {
            a.clone()
                .run(|_| b.clone().run(async |_| ()))
                .await
                .unwrap()
                .unwrap();
        };
        nested(&outer, &inner).await;
        nested(&inner, &outer).await;
    });
    assert_eq!(told.await, [""; 0]);
}
