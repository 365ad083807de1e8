//! A pool for the tests of your own code (feature `testing`).
//!
//! [`TestPool`] keeps its locks in memory, records who acquires what, and has a lock service that fails,
//! answers late, or loses a lease when a test says so. It is the same pool as in production otherwise: queue,
//! renewal, tokens and errors are the real ones.
//!
//! Its time is that of the test's runtime. In a test with `start_paused = true`, a lease of ten minutes ends, or
//! a wait of ten seconds is over, in no time, and `tokio::time::advance` brings both about.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//!
//! use lockattr::testing::TestPool;
//! use lockattr::{Error, assert_acquired, distributed_lock};
//!
//! #[distributed_lock(key = "order:{order_id}", ttl = "10s", wait = "2s")]
//! async fn pay(order_id: u64) -> Result<(), Error> {
//!     Ok(())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Error> {
//! # tokio::time::pause();
//! let locks = TestPool::new().await?; // in a `#[tokio::test(start_paused = true)]`
//!
//! locks.scope(pay(42)).await?;
//! assert_acquired!(locks, "order:42");
//!
//! let other = locks.hold("order:42").await;
//! let busy = locks.scope(pay(42)).await; // takes 2 s of the paused time
//! assert!(matches!(busy, Err(Error::Busy { .. })));
//! drop(other);
//!
//! locks.fail();
//! let failed = locks.scope(pay(42)).await;
//! assert!(matches!(failed, Err(Error::Backend { .. })));
//! # Ok(())
//! # }
//! ```

mod acquisition;
mod assertions;
mod faults;
mod pool;

pub use acquisition::Acquisition;
pub use pool::{OtherHolder, TestPool};
