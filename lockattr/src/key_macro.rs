//! A key from a template, as an expression.

/// Makes a [`Key`](crate::Key) from a template, with the rules and the encoding of
/// [`#[distributed_lock]`](crate::distributed_lock).
///
/// The attribute encodes the values in its key, but `pool.lock(format!(…))` uses its text
/// unchanged: for a value such as `a@b.com` they are two different locks. `pool.lock(key!(…))`
/// takes the attribute's lock.
///
/// Placeholders name variables in scope, their fields (`{req.user.id}`, `{self.tenant}`), or values
/// after the template, by name or by position; they take format specs. A value is evaluated once.
/// As in the attribute, a constant (`{REGION}`, recognised by its spelling) is part of the
/// template's own text, and is not encoded.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lockattr::Error> {
/// use lockattr::{distributed_lock, key};
///
/// #[distributed_lock(key = "user:{email}", wait = "0s")]
/// async fn rename(email: &str) -> Result<(), lockattr::Error> {
///     Ok(())
/// }
///
/// let pool = lockattr::LockPool::memory().await?;
/// let email = "a@b.com";
/// let guard = pool.lock(key!("user:{email}")).acquire().await?;
/// assert!(pool.scope(rename(email)).await.is_err_and(|error| error.is_busy()));
/// guard.release().await;
///
/// assert_eq!(key!("user:{}", email), key!("user:{email}"));
/// assert_eq!(key!("user:{email}", email = email.to_uppercase()).as_str(), "user:A%40B.COM");
/// assert_eq!(key!("{}-{:04}", "a-b", 7).as_str(), "a%2Db-0007");
/// # Ok(())
/// # }
/// ```
/// A name that does not exist is a compile error. So is a template that could make one key from
/// different values:
///
/// ```compile_fail
/// lockattr::key!("order:{}{}", 1, 23);
/// ```
#[macro_export]
macro_rules! key {
    ($($template:tt)*) => {
        $crate::__private::key!($crate; $($template)*)
    };
}
