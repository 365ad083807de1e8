//! Assertions about what was acquired.

/// Panics unless a call of this [`TestPool`](crate::testing::TestPool) acquired the key: at least once, or
/// exactly so many `times`. The key is a text, or what [`key!`](crate::key!) makes.
///
/// # Panics
///
/// When no call did, or not so many times, with all that was acquired.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lockattr::Error> {
/// use lockattr::{assert_acquired, assert_not_acquired, key};
///
/// let locks = lockattr::testing::TestPool::new().await?;
/// locks.lock("order:42").await?.release().await;
/// let id = 42;
/// assert_acquired!(locks, "order:42");
/// assert_acquired!(locks, key!("order:{id}"), times = 1);
/// assert_not_acquired!(locks, "order:43");
/// # Ok(())
/// # }
/// ```
#[macro_export]
macro_rules! assert_acquired {
    ($locks:expr, $key:expr $(,)?) => {
        $crate::testing::TestPool::assert_acquired(&$locks, $key, None)
    };
    ($locks:expr, $key:expr, times = $times:expr $(,)?) => {
        $crate::testing::TestPool::assert_acquired(&$locks, $key, Some($times))
    };
}

/// Panics if a call of this [`TestPool`](crate::testing::TestPool) acquired the key. See
/// [`assert_acquired!`](crate::assert_acquired!).
///
/// # Panics
///
/// When a call did, with all that was acquired.
#[macro_export]
macro_rules! assert_not_acquired {
    ($locks:expr, $key:expr $(,)?) => {
        $crate::testing::TestPool::assert_acquired(&$locks, $key, Some(0))
    };
}
