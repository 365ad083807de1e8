//! The leases that the running task holds.

use std::iter::successors;
use std::sync::Arc;

use crate::driver::Commands;
use crate::key::Key;
use crate::lease::Lease;

tokio::task_local! {
    static HELD: Arc<Held>;
}

/// A lease and those that it is nested in.
struct Held {
    lease: Lease,
    outer: Option<Arc<Held>>,
}

/// The innermost lease under which this task runs: that of the nearest function with the
/// attribute, or of the nearest [`LockRequest::run`](crate::LockRequest::run).
///
/// So code deep inside can use the fencing token without being handed it. A lease does not follow
/// `tokio::spawn`: what is spawned may outlive it.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lockattr::Error> {
/// let pool = lockattr::LockPool::memory().await?;
/// pool.lock("order:42").run(|lease| async move {
///     let token = lockattr::current().map(|lease| lease.fencing_token());
///     assert_eq!(token, Some(lease.fencing_token()));
/// }).await?;
/// assert!(lockattr::current().is_none());
/// # Ok(())
/// # }
/// ```
pub fn current() -> Option<Lease> {
    HELD.try_with(|held| held.lease.clone()).ok()
}

/// The lease of this key that the task holds, if it does.
pub(crate) fn find(pool: &Commands, key: &Key) -> Option<Lease> {
    find_held(|lease| lease.pool().is_of(pool) && lease.key() == key.as_str())
}

/// Whether the task runs under a valid lease of this key, of whatever pool.
pub(crate) fn is_held(key: &Key) -> bool {
    find_held(|lease| lease.key() == key.as_str() && lease.is_valid()).is_some()
}

/// Runs `body` as holder of `lease`.
pub(crate) fn scope<F: Future>(lease: Lease, body: F) -> impl Future<Output = F::Output> {
    let outer = HELD.try_with(Arc::clone).ok();
    HELD.scope(Arc::new(Held { lease, outer }), body)
}

fn find_held(is_it: impl Fn(&Lease) -> bool) -> Option<Lease> {
    let innermost = HELD.try_with(Arc::clone).ok()?;
    let outwards = successors(Some(&*innermost), |held| held.outer.as_deref());
    outwards
        .map(|held| &held.lease)
        .find(|lease| is_it(lease))
        .cloned()
}
