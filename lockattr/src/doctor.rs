//! Says what a pool's lock service can and cannot promise.

use crate::diagnosis::Diagnosis;
use crate::{Error, LockPool};

/// Examines the lock service of a pool: what it is, and what it can and cannot promise as it is set up.
///
/// Each master is asked for its version, its settings and its state, as far as the pool's user may, and
/// the time for an answer is measured. What cannot be read is
/// [`Unknown`](crate::Severity::Unknown), with the right that is missing. Nothing is written. A pool
/// does the same when it is built: it warns of what is a [`Warning`](crate::Severity::Warning), or
/// refuses it if it is [strict](crate::RedisOptions::strict).
///
/// The ttl that the round trip is compared with is the shortest that the pool was asked for.
///
/// # Errors
///
/// [`Error::Closed`] when the pool is gone, [`Error::Forked`] in a process that was forked from the
/// pool's. A server that does not answer is a finding.
///
/// # Cancel safety
///
/// Cancel safe.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lockattr::Error> {
/// use lockattr::Severity;
///
/// let pool = lockattr::LockPool::memory().await?;
/// let diagnosis = lockattr::doctor(&pool).await?;
/// println!("{diagnosis}");
/// // Nothing is wrong, but these locks exclude nobody outside of this process.
/// assert_eq!(diagnosis.worst(), Severity::Limit);
/// for finding in diagnosis.findings() {
///     assert!(finding.severity <= Severity::Limit, "{finding}");
/// }
/// # Ok(())
/// # }
/// ```
pub async fn doctor(pool: &LockPool) -> Result<Diagnosis, Error> {
    pool.examine().await
}
