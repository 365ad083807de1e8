//! The attribute adds no lint of its own, and silences none.
#![deny(warnings, clippy::pedantic)]

use lockattr::{Error, LockPool, distributed_lock};

/// Lints on functions still see the function.
#[expect(dead_code)]
#[distributed_lock(key = "never called:{order_id}")]
async fn never_called(order_id: u64) -> Result<u64, Error> {
    Ok(order_id)
}

/// Says nothing about its errors.
#[expect(clippy::missing_errors_doc)]
#[distributed_lock(key = "documented:{order_id}")]
pub async fn half_documented(order_id: u64) -> Result<u64, Error> {
    Ok(order_id)
}

#[expect(missing_docs, clippy::missing_errors_doc)]
#[distributed_lock(key = "undocumented:{order_id}")]
pub async fn undocumented(order_id: u64) -> Result<u64, Error> {
    Ok(order_id)
}

#[expect(unused_variables)]
#[distributed_lock(key = "k")]
async fn unused_argument(order_id: u64) -> Result<(), Error> {
    let unused = 1;
    Ok(())
}

#[distributed_lock(
    key("{pair.0}:{id}", id = pair.1 + 1),
    ttl = "10s",
    wait = std::time::Duration::from_secs(2),
    max_hold = std::time::Duration::from_secs(60),
    bind = lease
)]
async fn every_generated_form(pair: (u64, u64)) -> Result<u64, Error> {
    Ok(pair.0 + lease.fencing_token())
}

#[distributed_lock(key = (pair.0 + pair.1), on_busy = "skip", or_else = |_| 0)]
async fn handled(pair: (u64, u64)) -> u64 {
    pair.0
}

#[distributed_lock(key = "skip", on_busy = "skip")]
async fn skipped() {}

struct Ledger {
    id: u64,
}

impl Ledger {
    #[distributed_lock(key = "{self.id}", on_busy = "skip")]
    async fn method(&mut self, add: u64) -> Result<u64, Error> {
        self.id += add;
        Ok(self.id)
    }
}

/// That this compiles is the test; the values make sure that the bodies are the user's.
#[tokio::test]
async fn the_attribute_is_quiet() {
    let pool = LockPool::memory().await.unwrap();
    pool.scope(async {
        assert_eq!(half_documented(1).await.unwrap(), 1);
        assert_eq!(undocumented(1).await.unwrap(), 1);
        unused_argument(1).await.unwrap();
        assert!(every_generated_form((1, 2)).await.unwrap() > 1);
        assert_eq!(handled((1, 2)).await, 1);
        skipped().await;
        assert_eq!(Ledger { id: 1 }.method(1).await.unwrap(), 2);
    })
    .await;
}
