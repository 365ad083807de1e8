//! An assertion for code that must only run under a lock.

/// Panics unless the running task holds this lock, through the attribute or
/// [`LockRequest::run`](crate::LockRequest::run).
///
/// Takes what [`key!`](crate::key!) takes, or a [`Key`](crate::Key).
///
/// # Panics
///
/// When the task does not hold the lock, or no longer holds it.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lockattr::Error> {
/// fn book(account: &str) {
///     lockattr::assert_held!("account:{}", account);
///     lockattr::assert_held!("account:{account}");
///     lockattr::assert_held!(lockattr::key!("account:{id}", id = account));
/// }
///
/// #[lockattr::distributed_lock(key = "account:{account}")]
/// async fn pay(account: &str) -> Result<(), lockattr::Error> {
///     book(account);
///     Ok(())
/// }
///
/// # let pool = lockattr::LockPool::memory().await?;
/// pool.scope(pay("a:1")).await?;
/// # Ok(())
/// # }
/// ```
///
/// ```should_panic
/// lockattr::assert_held!("account:{}", 42);
/// ```
#[macro_export]
macro_rules! assert_held {
    ($($key:tt)*) => {
        $crate::__private::assert_held!($crate; $($key)*)
    };
}

/// The function behind the macro.
///
/// # Panics
///
/// Unless the running task holds the lock of `key`.
#[track_caller]
pub fn assert_held(key: Result<crate::key::Key, crate::Error>) {
    match key {
        Ok(key) => assert!(
            crate::current::is_held(&key),
            "the lock `{key}` must be held here"
        ),
        Err(error) => panic!("{error}"),
    }
}
