//! A small service, and how to test it: `cargo test -p examples --example order_service`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lockattr::{LockPool, distributed_lock};

#[derive(Debug, thiserror::Error)]
enum OrderError {
    #[error("{0} was paid already")]
    PaidAlready(u64),
    #[error(transparent)]
    Lock(#[from] lockattr::Error),
}

/// Takes a second for each payment.
#[derive(Debug, Default)]
struct Bank {
    /// By order.
    paid: Mutex<HashMap<u64, u64>>,
}

impl Bank {
    async fn transfer(&self, order: u64, amount: u64) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        *paid.entry(order).or_default() += amount;
    }

    fn paid(&self, order: u64) -> Option<u64> {
        let paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        paid.get(&order).copied()
    }
}

#[derive(Debug, Default)]
struct Orders {
    bank: Bank,
}

impl Orders {
    #[distributed_lock(key = "order:{order}", ttl = "10s", wait = "3s")]
    async fn pay(&self, order: u64, amount: u64) -> Result<(), OrderError> {
        if self.bank.paid(order).is_some() {
            return Err(OrderError::PaidAlready(order));
        }
        self.bank.transfer(order, amount).await;
        Ok(())
    }

    /// Leaves the work to the process that does it already.
    #[distributed_lock(key = "report", on_busy = "skip")]
    async fn report(&self) -> Result<Option<usize>, OrderError> {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let paid = self
            .bank
            .paid
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Ok(Some(paid.len()))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    examples::install().await?;
    let orders = Orders::default();
    let (one, other) = tokio::join!(orders.pay(42, 100), orders.pay(42, 100));
    println!("the one: {one:?}, the other: {other:?}");
    anyhow::ensure!(one.is_ok() != other.is_ok(), "it was paid twice");
    anyhow::ensure!(orders.bank.paid(42) == Some(100));
    println!("orders that are paid: {:?}", orders.report().await?);
    LockPool::installed()?
        .shutdown(Duration::from_secs(5))
        .await?;
    Ok(())
}

/// Each test has its own pool, and its clock is paused: the suite takes no minute, though the service would.
#[cfg(test)]
mod tests {
    use lockattr::testing::TestPool;
    use lockattr::{assert_acquired, assert_not_acquired};

    use super::*;

    async fn locks() -> TestPool {
        TestPool::new().await.expect("a pool in memory")
    }

    #[tokio::test(start_paused = true)]
    async fn an_order_is_paid_once() {
        let (locks, orders) = (locks().await, Orders::default());
        let both = async { tokio::join!(orders.pay(42, 100), orders.pay(42, 100)) };
        let (one, other) = locks.scope(both).await;
        one.unwrap();
        assert!(matches!(other, Err(OrderError::PaidAlready(42))));
        assert_eq!(orders.bank.paid(42), Some(100));
        assert_acquired!(locks, "order:42", times = 2);
    }

    #[tokio::test(start_paused = true)]
    async fn other_orders_do_not_wait() {
        let (locks, orders) = (locks().await, Orders::default());
        let both = async { tokio::join!(orders.pay(1, 100), orders.pay(2, 100)) };
        let (one, other) = locks.scope(both).await;
        one.and(other).unwrap();
        let waits = locks.acquisitions().into_iter().map(|it| it.waited);
        assert!(waits.max() < Some(Duration::from_secs(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_customer_hears_of_a_busy_order_after_three_seconds() {
        let (locks, orders) = (locks().await, Orders::default());
        let _other = locks.hold("order:42").await;
        let start = tokio::time::Instant::now();
        let refused = locks.scope(orders.pay(42, 100)).await.unwrap_err();
        assert!(matches!(refused, OrderError::Lock(error) if error.is_busy()));
        assert_eq!(start.elapsed().as_secs(), 3);
        assert_eq!(orders.bank.paid(42), None);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_paid_without_the_lock_service() {
        let (locks, orders) = (locks().await, Orders::default());
        locks.fail();
        let failed = locks.scope(orders.pay(42, 100)).await;
        assert!(matches!(failed, Err(OrderError::Lock(_))));
        assert_eq!(orders.bank.paid(42), None);
        assert_not_acquired!(locks, "order:42");
        locks.recover();
        locks.scope(orders.pay(42, 100)).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_lease_stops_the_payment() {
        let (locks, orders) = (locks().await, Orders::default());
        let (lost, ()) = tokio::join!(locks.scope(orders.pay(42, 100)), async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            locks.lose("order:42").await.unwrap();
        });
        assert!(matches!(lost, Err(OrderError::Lock(error)) if error.is_lost()));
        assert_eq!(orders.bank.paid(42), None);
    }

    #[tokio::test(start_paused = true)]
    async fn one_report_at_a_time_is_enough() {
        let (locks, orders) = (locks().await, Orders::default());
        let both = async { tokio::join!(orders.report(), orders.report()) };
        let (one, other) = locks.scope(both).await;
        assert_eq!((one.unwrap(), other.unwrap()), (Some(0), None));
        assert_acquired!(locks, "report", times = 1);
    }
}
