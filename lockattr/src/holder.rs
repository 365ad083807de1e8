//! Who has a key, as the lock service says.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::mode::Mode;

/// Who has a key, and since when.
///
/// A process that has a key may pass it on among its own calls without asking the lock service: then
/// `who`, `since` and `fencing_token` are those of the first of them.
///
/// Its [`Display`](fmt::Display) is a line for people.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lockattr::Error> {
/// let pool = lockattr::LockPool::memory().await?;
/// let guard = pool.lock("order:42").await?;
/// let holder = pool.holder("order:42").await?.expect("we have it");
/// assert_eq!(holder.fencing_token, Some(guard.fencing_token()));
/// println!("{holder}");
/// # guard.release().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The key.
    pub key: Arc<str>,
    /// Host, process and function, as far as the lock service knows. Empty for a lock in a format that this
    /// version does not know.
    pub who: Arc<str>,
    /// Since when, by the clock of the holder or of the server; on `ZooKeeper` since when it asked for the key. `None` if
    /// it is not known.
    pub since: Option<SystemTime>,
    /// The fencing token of the grant. `None` if it is not known, as on a quorum whose servers granted
    /// different ones.
    pub fencing_token: Option<u64>,
    /// How long the key is held unless the lease is renewed; [`Duration::MAX`] if that is not known, as on `ZooKeeper`,
    /// and for a foreign value that does not end.
    pub ttl_left: Duration,
    /// Who else may have the key meanwhile.
    pub mode: Mode,
    /// Whether the call has ended, and the key is kept for the rest of its
    /// [`min_hold`](crate::LockRequest::min_hold).
    pub has_finished: bool,
    /// How many wait for the key: each process once for its exclusive calls, and once for each other call.
    pub waiters: usize,
    /// Tells the pools apart whose leases on several servers belong together, and reveals nothing of them.
    pub(crate) pool: u64,
}

impl Holder {
    /// For a [backend](crate::backend) of your own; what it knows besides is set in the fields. `who` must
    /// hold no owner id.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let holder = lockattr::Holder::new("order:42", "web-1/7 shop::pay", Duration::from_secs(9));
    /// assert_eq!(&*holder.who, "web-1/7 shop::pay");
    /// ```
    pub fn new(key: &str, who: &str, ttl_left: Duration) -> Self {
        Self {
            key: key.into(),
            who: who.into(),
            since: None,
            fencing_token: None,
            ttl_left,
            mode: Mode::Exclusive,
            has_finished: false,
            waiters: 0,
            pool: 0,
        }
    }

    /// Notes whose lease it is, by the pool's part of an owner id.
    #[cfg_attr(
        not(feature = "redis"),
        expect(dead_code, reason = "there is one server")
    )]
    pub(crate) fn of_pool(mut self, pool: &str) -> Self {
        let mut digest = DefaultHasher::new();
        pool.hash(&mut digest);
        self.pool = digest.finish();
        self
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, who, mode, .. } = self;
        let who = if who.is_empty() { "someone" } else { who };
        write!(f, "`{key}` is held by {who} ({mode}")?;
        if let Some(since) = self.since {
            let for_so_long = since.elapsed().unwrap_or_default();
            write!(f, ", for {}s", for_so_long.as_secs())?;
        }
        if let Some(token) = self.fencing_token {
            write!(f, ", fencing token {token}")?;
        }
        if self.has_finished {
            f.write_str(", finished")?;
        }
        if self.ttl_left < Duration::MAX {
            write!(f, ", {}ms left", self.ttl_left.as_millis())?;
        }
        write!(f, "); {} wait", self.waiters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_is_known() {
        let mut holder = Holder::new("order:42", "", Duration::MAX);
        assert_eq!(
            holder.to_string(),
            "`order:42` is held by someone (exclusive); 0 wait"
        );
        holder.who = "web-1/7 shop::pay".into();
        holder.fencing_token = Some(77);
        holder.ttl_left = Duration::from_millis(1500);
        holder.has_finished = true;
        holder.waiters = 2;
        assert_eq!(
            holder.to_string(),
            "`order:42` is held by web-1/7 shop::pay (exclusive, fencing token 77, finished, 1500ms left); \
             2 wait"
        );
    }
}
