//! Who waits for a key, as the lock service says.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::mode::Mode;

/// Those that wait for a key, in the order of their turn.
///
/// It is what the lock service has: each process is in it once for its exclusive calls of the key, and once for
/// each other call. A process that is gone keeps its place until its turn comes. The calls that wait inside a
/// process, behind its place, are not in it.
///
/// # Examples
///
/// See [`LockPool::queue`](crate::LockPool::queue).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Queue {
    /// The first of them, as many as were asked for.
    pub waiters: Vec<Waiter>,
    /// How many wait behind these.
    pub more: usize,
}

impl Queue {
    /// How many waiters are read at most, however many are asked for: a server serves nobody else meanwhile.
    pub const MOST: usize = 10_000;

    /// For a [backend](crate::backend) of your own.
    ///
    /// # Examples
    ///
    /// ```
    /// use lockattr::{Mode, Queue, Waiter};
    ///
    /// let queue = Queue::new(vec![Waiter::new("web-1/7 shop::pay", Mode::Shared)], 2);
    /// assert_eq!(queue.len(), 3);
    /// ```
    pub fn new(waiters: Vec<Waiter>, more: usize) -> Self {
        Self { waiters, more }
    }

    /// Returns how many wait, those that were not asked for among them.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// assert_eq!(pool.queue("order:42", 10).await?.len(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn len(&self) -> usize {
        self.waiters.len() + self.more
    }

    /// Returns whether nobody waits.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// assert!(pool.queue("order:42", 10).await?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A place in the queue of a key: a process with all of its exclusive calls of the key, or one other call.
///
/// Its [`Display`](fmt::Display) is a text for people.
///
/// # Examples
///
/// See [`LockPool::queue`](crate::LockPool::queue).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waiter {
    /// Host, process and function, as far as the lock service knows: of a process with several calls the
    /// function of the first. Empty for a place in a format that this version does not know.
    pub who: Arc<str>,
    /// In which mode it wants the key. `None` if it is not known.
    pub mode: Option<Mode>,
    /// Since when it waits. `None` where the lock service does not keep that, as Redis servers do not.
    pub since: Option<SystemTime>,
}

impl Waiter {
    /// For a [backend](crate::backend) of your own; since when it waits is set in the field. `who` must hold no
    /// owner id.
    ///
    /// # Examples
    ///
    /// ```
    /// let waiter = lockattr::Waiter::new("web-1/7 shop::pay", lockattr::Mode::Exclusive);
    /// assert_eq!(waiter.to_string(), "web-1/7 shop::pay (exclusive)");
    /// ```
    pub fn new(who: &str, mode: Mode) -> Self {
        Self {
            who: who.into(),
            mode: Some(mode),
            since: None,
        }
    }
}

impl fmt::Display for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = if self.who.is_empty() {
            "someone"
        } else {
            &self.who
        };
        f.write_str(who)?;
        if let Some(mode) = self.mode {
            write!(f, " ({mode}")?;
            if let Some(since) = self.since {
                let for_so_long = since.elapsed().unwrap_or_default();
                write!(f, ", for {}s", for_so_long.as_secs())?;
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_says_what_is_known() {
        let mut waiter = Waiter::new("web-1/7 shop::pay", Mode::Shared);
        assert_eq!(waiter.to_string(), "web-1/7 shop::pay (shared)");
        waiter.since = Some(SystemTime::now());
        assert_eq!(waiter.to_string(), "web-1/7 shop::pay (shared, for 0s)");
        assert_eq!(Waiter::default().to_string(), "someone");
    }

    #[test]
    fn those_that_were_not_asked_for_are_counted() {
        let queue = Queue::new(vec![Waiter::default()], 2);
        assert_eq!((queue.len(), queue.is_empty()), (3, false));
        assert!(Queue::default().is_empty());
    }
}
