//! Looking at locks from outside: who has which key, and taking one away.

use std::sync::Arc;

use futures_util::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use tracing::warn;

use super::LockPool;
use crate::Error;
use crate::asked_key::Key;
use crate::backend::{Inspected, Inspection};
use crate::holder::Holder;
use crate::queue::Queue;

/// All of these ask the lock service, and look at the locks of all processes that share this pool's prefix. What
/// they return may be over by then: it is for people, for dashboards and for tests. To do something that
/// excludes others, take the lock.
///
/// On a Redis server the pool's user needs the rights `+llen`, `+lrange` and `+scan` besides.
impl LockPool {
    /// Returns who has the key: of several holders (readers, permits) the first. `None` if it is free.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`] for a key that cannot be locked, [`Error::Inspection`] when the lock service does
    /// not answer or the right is missing, [`Error::Config`] for a lock service of your own that has no
    /// [`inspector`](crate::backend::Backend::inspector), [`Error::Closed`] and [`Error::Forked`].
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
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let guard = pool.lock("order:42").await?;
    /// let holder = pool.holder("order:42").await?.expect("we have it");
    /// assert_eq!(holder.waiters, 0);
    /// guard.release().await;
    /// assert_eq!(pool.holder("order:42").await?, None);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn holder(&self, key: impl Into<Key>) -> Result<Option<Holder>, Error> {
        let key = key.into();
        Ok(self.holders_of_key(&key).await?.into_iter().next())
    }

    /// Returns all that have the key, by their fencing tokens: several where readers or permits share it.
    ///
    /// # Errors
    ///
    /// As [`holder`](Self::holder).
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
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let one = pool.lock("prices").shared().await?;
    /// let other = pool.lock("prices").shared().await?;
    /// assert_eq!(pool.holders_of("prices").await?.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn holders_of(&self, key: impl Into<Key>) -> Result<Vec<Holder>, Error> {
        let key = key.into();
        self.holders_of_key(&key).await
    }

    /// Returns whether anybody has the key, or keeps others out of it by a `min_hold`.
    ///
    /// # Errors
    ///
    /// As [`holder`](Self::holder).
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
    /// # let pool = lockattr::LockPool::memory().await?;
    /// assert!(!pool.is_locked("order:42").await?);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn is_locked(&self, key: impl Into<Key>) -> Result<bool, Error> {
        let key = key.into();
        Ok(!self.holders_of_key(&key).await?.is_empty())
    }

    /// Lists who has which key, for all keys that begin with this text, page by page. An empty text is for all
    /// keys of the pool's prefix. As a stream: [`Holders::into_stream`].
    ///
    /// The text is taken literally. Nothing is asked before [`Holders::next_page`].
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let _order = pool.lock("order:42").await?;
    /// let _cart = pool.lock("cart:7").await?;
    /// let mut holders = pool.holders("order:");
    /// let mut count = 0;
    /// while let Some(page) = holders.next_page().await? {
    ///     for holder in page {
    ///         println!("{holder}");
    ///         count += 1;
    ///     }
    /// }
    /// assert_eq!(count, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn holders(&self, prefix: impl Into<Arc<str>>) -> Holders {
        Holders {
            pool: self.clone(),
            prefix: prefix.into(),
            place: Place::At(None),
        }
    }

    /// Returns who waits for the key, in the order of their turn: the first `limit` of them
    /// ([`Queue::MOST`] at most), and how many wait behind these.
    ///
    /// A [`Queue`] is what the lock service has; calls that wait inside a process, behind its place, are not in
    /// it. On a quorum it is the longest queue that one of its servers has: one server at a time keeps the queue
    /// of a key, and what was waited for while that one was away can be missing. Where no messages come from the
    /// server (a proxy), waiters poll, and have no place in a queue.
    ///
    /// # Errors
    ///
    /// As [`holder`](Self::holder); [`Error::Config`] also for a lock service of your own whose inspector does not
    /// answer [`Inspection::Queue`](crate::backend::Inspection::Queue).
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
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let _guard = pool.lock("prices").await?;
    /// let reader = tokio::spawn(pool.lock("prices").shared().acquire());
    /// while pool.queue("prices", 0).await?.is_empty() {
    ///     tokio::task::yield_now().await;
    /// }
    /// let queue = pool.queue("prices", 100).await?;
    /// assert_eq!(queue.waiters[0].mode, Some(lockattr::Mode::Shared));
    /// assert_eq!(queue.more, 0);
    /// for (place, waiter) in (1..).zip(&queue.waiters) {
    ///     println!("{place}: {waiter}");
    /// }
    /// # reader.abort();
    /// # Ok(())
    /// # }
    /// ```
    pub async fn queue(&self, key: impl Into<Key>, limit: usize) -> Result<Queue, Error> {
        let key = key.into();
        let question = Inspection::Queue {
            key: key.checked()?,
            limit: limit.min(Queue::MOST),
        };
        let answer = self.inspect(key.as_str(), question).await?;
        answer.queue.ok_or_else(|| {
            Error::config(
                "backend",
                "the lock service of this pool does not say who waits for a key; let its \
                 `Backend::inspector` answer `Inspection::Queue`",
            )
        })
    }

    /// Takes the key away from all that have it, and hands it to the first waiter as a release does. Returns
    /// whether anybody had it.
    ///
    /// **This breaks the exclusion, and is for operators** who know that a holder is stuck. The holder, and the
    /// calls to which its process passes the key on, run until the next renewal, a third of the ttl later at
    /// most; only then they hear of the loss ([`LossReason::Gone`](crate::LossReason::Gone)). A call that does
    /// not renew (`renew = false`) never hears of it. Meanwhile the next holder runs beside them. Only what
    /// checks [fencing tokens](crate::Lease::fencing_token) notices: the next holder's is greater.
    ///
    /// It takes the key from the call that has it when the request arrives, which may be another one than the one
    /// that was seen before.
    ///
    /// # Errors
    ///
    /// As [`holder`](Self::holder). After an [`Error::Inspection`] the key may have been taken away, or will be.
    ///
    /// # Cancel safety
    ///
    /// The request goes on when the future is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let stuck = pool.lock("order:42").await?;
    /// assert!(pool.force_release("order:42").await?);
    /// assert!(!pool.force_release("order:42").await?, "nobody has it");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn force_release(&self, key: impl Into<Key>) -> Result<bool, Error> {
        let key = key.into();
        let question = Inspection::ForceRelease(key.checked()?);
        let had_it = self.inspect(key.as_str(), question).await?.holders;
        for holder in &had_it {
            let Holder { key, who, .. } = holder;
            let token = holder.fencing_token;
            warn!(lock.key = %key, lock.holder = %who, lock.fencing_token = token, "a lock was taken away from its holder by force");
        }
        Ok(!had_it.is_empty())
    }

    async fn holders_of_key(&self, key: &Key) -> Result<Vec<Holder>, Error> {
        let question = Inspection::Keys(vec![key.checked()?]);
        Ok(self.inspect(key.as_str(), question).await?.holders)
    }

    async fn inspect(&self, about: &str, question: Inspection) -> Result<Inspected, Error> {
        let Some(answer) = self.commands().inspect(question).await? else {
            return Err(Error::config(
                "backend",
                "the lock service of this pool does not say who has a key; let it implement \
                 `Backend::inspector`",
            ));
        };
        answer.map_err(|source| Error::Inspection {
            key: about.into(),
            source,
        })
    }
}

/// The holders of many keys, page by page; made by [`LockPool::holders`].
///
/// It is no snapshot. A key that is held all the time is listed; one that is taken or released meanwhile may be
/// listed or not. While the server makes room for more keys, or slots of a cluster move, or another master takes over,
/// a key may be listed twice or missed.
///
/// A Redis server is asked in small steps (`SCAN`), between which it serves others; so keys of other programs
/// on the same server cost time too.
#[derive(Debug, Clone)]
#[must_use = "nothing is asked until `next_page`, or until its stream is polled"]
pub struct Holders {
    pool: LockPool,
    prefix: Arc<str>,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    At(Option<Arc<str>>),
    End,
}

impl Holders {
    /// Returns the next page, which has one holder at least; `None` after the last. The holders of one key are
    /// on one page, one after the other.
    ///
    /// # Errors
    ///
    /// As [`LockPool::holder`]. The same page can be asked for again.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the next call asks for the same page, or goes on behind keys that nobody has.
    ///
    /// # Examples
    ///
    /// See [`LockPool::holders`].
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let _order = pool.lock("order:42").await?;
    /// let mut holders = pool.holders("order:");
    /// let page = holders.next_page().await?.expect("one is held");
    /// assert_eq!(&*page[0].key, "order:42");
    /// assert_eq!(holders.next_page().await?, None);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn next_page(&mut self) -> Result<Option<Vec<Holder>>, Error> {
        while let Place::At(after) = &self.place {
            let question = Inspection::Page {
                prefix: Arc::clone(&self.prefix),
                after: after.clone(),
            };
            let Inspected { holders, next, .. } = self.pool.inspect(&self.prefix, question).await?;
            self.place = match next {
                None => Place::End,
                next => Place::At(next),
            };
            if !holders.is_empty() {
                return Ok(Some(holders));
            }
        }
        Ok(None)
    }

    /// Returns the holders of this page and those behind it one by one. A page is asked for when the one before
    /// is used up, and the stream ends after an error.
    ///
    /// # Errors
    ///
    /// An item has those of [`next_page`](Self::next_page).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// use futures_util::TryStreamExt;
    ///
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let _order = pool.lock("order:42").await?;
    /// let holders: Vec<lockattr::Holder> = pool.holders("order:").into_stream().try_collect().await?;
    /// assert_eq!(&*holders[0].key, "order:42");
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_stream(self) -> impl Stream<Item = Result<Holder, Error>> + Send + 'static {
        let pages = stream::try_unfold(self, |mut holders| async {
            let page = holders.next_page().await?;
            Ok::<_, Error>(page.map(|page| (page, holders)))
        });
        pages
            .map_ok(|page| stream::iter(page).map(Ok))
            .try_flatten()
    }
}
