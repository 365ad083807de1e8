//! An assertion for code that must only run under a lock.

/// Panics unless the running task holds this lock, by the attribute or by
/// [`LockRequest::run`](crate::LockRequest::run).
///
/// The template takes its values as arguments, by position or by name, and encodes them as the
/// attribute does.
///
/// # Panics
///
/// When the task does not hold the lock, or holds it no more.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lockattr::Error> {
/// fn book(account: &str) {
///     lockattr::assert_held!("account:{}", account);
///     lockattr::assert_held!("account:{id}", id = account);
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
///
/// Names in the braces would not be encoded, so they are refused:
///
/// ```compile_fail
/// let id = 42;
/// lockattr::assert_held!("account:{id}");
/// ```
#[macro_export]
macro_rules! assert_held {
    ($template:literal $(, $name:ident = $value:expr)+ $(,)?) => {{
        let values = $crate::__private::Values::new("");
        $crate::assert_held!(@ values, $template $(, $name = values.value(&$value))+);
    }};
    ($template:literal $(, $value:expr)* $(,)?) => {{
        let values = $crate::__private::Values::new("");
        $crate::assert_held!(@ values, $template $(, values.value(&$value))*);
    }};
    (@ $values:ident, $template:literal $($arguments:tt)*) => {
        // `concat!` keeps the template from capturing names.
        $crate::__private::assert_held($crate::__private::key(
            &$values,
            $crate::__private::format_args!($crate::__private::concat!($template) $($arguments)*),
        ))
    };
}

/// What the macro expands to.
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
