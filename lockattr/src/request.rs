//! A request for the attribute's lock, made by function calls.

mod options;

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::Error;
use crate::all_or_nothing::acquire_all;
use crate::asked_key::Key;
use crate::current::{self, Asked};
use crate::driver::{Grant, Lease};
use crate::guard::Guard;
use crate::hold::{AwaitRelease, Locked, enter_with};
use crate::keys::Keys;
use crate::label::Label;
use crate::pool::{LockPool, PoolSource};
use crate::spec::Options;

/// A request for a lock, made by [`LockPool::lock`] or [`LockPool::lock_all`].
///
/// Goes through the same code path as `#[distributed_lock]`; unset options fall back to the pool's
/// defaults. To await it means to [`acquire`](Self::acquire) it.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lockattr::Error> {
/// # let pool = lockattr::LockPool::memory().await?;
/// let guard = pool.lock("order:42").await?;
/// assert_eq!(guard.key(), "order:42");
/// # guard.release().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until it is awaited, or until `try_acquire` or `run`"]
pub struct LockRequest {
    pool: LockPool,
    keys: Result<Keys, Error>,
    options: Options,
    label: Label,
}

impl LockPool {
    /// Starts a request for the lock of `key`.
    ///
    /// A text is used unchanged, even with `{id}` in it, while the attribute encodes the values in
    /// its key. To take the lock of a `#[distributed_lock]`, use [`key!`](crate::key!), not
    /// `format!`. A key that cannot be locked fails with [`Error::InvalidKey`] when it is acquired;
    /// nothing is sent.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # use std::time::Duration;
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let guard = pool.lock("order:42").ttl(Duration::from_secs(10)).acquire().await?;
    /// let id = 42;
    /// assert!(pool.lock(lockattr::key!("order:{id}")).try_acquire().await?.is_none());
    /// # guard.release().await;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn lock(&self, key: impl Into<Key>) -> LockRequest {
        let key = key.into().checked();
        LockRequest::new(self.clone(), key.map(Keys::from), Label::here())
    }

    /// Starts a request for the locks of several keys, all or none.
    ///
    /// Never waits for one key while it has another. So two calls that name the same keys, in
    /// whatever order, do not deadlock, nor do calls that take single keys one after the other. A key
    /// that is named twice is locked once. Where [`wait`](LockRequest::wait) is zero, it asks once for
    /// all of them, at the same moment.
    ///
    /// The [`Lease`] has a fencing token for each key: [`token_of`](Lease::token_of). It is lost as
    /// soon as it is lost for one key. [`reentrant`](LockRequest::reentrant) nests in a call that holds
    /// all of the keys.
    ///
    /// Without a key the request fails with [`Error::Config`] when it is acquired.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let (from, to) = (7, 3);
    /// let accounts = [from, to].map(|id| lockattr::key!("account:{id}"));
    /// pool.lock_all(accounts).run(|lease| async move {
    ///     assert!(lease.keys().eq(["account:3", "account:7"]));
    ///     assert!(lease.token_of("account:7").is_some());
    /// }).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn lock_all<K: Into<Key>>(&self, keys: impl IntoIterator<Item = K>) -> LockRequest {
        let keys = keys.into_iter().map(|key| key.into().checked());
        LockRequest::new(self.clone(), Keys::new(keys), Label::here())
    }
}

impl LockRequest {
    pub(crate) fn new(pool: LockPool, keys: Result<Keys, Error>, label: Label) -> Self {
        Self {
            pool,
            keys,
            options: Options::DEFAULT,
            label,
        }
    }

    /// Waits for the lock.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] when the wait is over, [`Error::Backend`] when the lock service failed until
    /// then, [`Error::InvalidKey`], [`Error::Config`], [`Error::Closed`], and [`Error::Reentrant`]
    /// when the task already runs under this key.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a lease that the server may have granted by then is released in the background.
    /// The place in the queue is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let guard = pool.lock("order:42").acquire().await?;
    /// println!("under the token {}", guard.fencing_token());
    /// guard.release().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn acquire(self) -> Result<Guard, Error> {
        let acquiring = self.begin()?;
        acquiring.await.map(Guard::new)
    }

    fn begin(self) -> Result<impl Future<Output = Result<Grant, Error>>, Error> {
        let (pool, keys) = (self.pool, self.keys?);
        for key in keys.iter() {
            let held = current::find(pool.commands(), key);
            if held.is_some_and(|lease| lease.is_valid()) {
                return Err(Error::Reentrant { key: key.shared() });
            }
        }
        acquire_all(&pool, &keys, &self.options, self.label)
    }

    /// Takes the lock if it is free; returns `None` if another call holds it.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire), except [`Error::Busy`].
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let guard = pool.lock("order:42").try_acquire().await?;
    /// assert!(guard.is_some());
    /// assert!(pool.lock("order:42").try_acquire().await?.is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn try_acquire(self) -> Result<Option<Guard>, Error> {
        match self.wait(Duration::ZERO).acquire().await {
            Ok(guard) => Ok(Some(guard)),
            Err(Error::Busy { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits for the lock and runs `body` under it, as the attribute does.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire), and [`Error::Lost`] when the lease was lost, and the body or,
    /// with [`OnLost::Error`](crate::OnLost::Error), its value was dropped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the body, if it runs, and releases the lock in the background.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// let pool = lockattr::LockPool::memory().await?;
    /// let sum = pool.lock("sum").run(|_lease| async { 1 + 1 }).await?;
    /// assert_eq!(sum, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run<R, F>(self, body: impl FnOnce(Lease) -> F) -> Result<R, Error>
    where
        F: Future<Output = R>,
    {
        let Self {
            pool,
            keys,
            options,
            label,
        } = self;
        let asked = Asked::Request(Box::new((options, label)));
        let body = async move {
            let lease = enter_with(0, PoolSource::Given(pool), keys).await;
            Ok(body(lease).await)
        };
        Locked::<_, _, AwaitRelease>::new(asked, Err, body).await
    }
}

impl IntoFuture for LockRequest {
    type Output = Result<Guard, Error>;
    type IntoFuture = Acquire;

    /// As [`acquire`](Self::acquire).
    fn into_future(self) -> Acquire {
        Acquire(Box::pin(self.acquire()))
    }
}

/// The future of a [`LockRequest`] that is awaited.
///
/// # Cancel safety
///
/// As [`LockRequest::acquire`].
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lockattr::Error> {
/// # let pool = lockattr::LockPool::memory().await?;
/// let acquiring: lockattr::Acquire = pool.lock("order:42").into_future();
/// let guard = acquiring.await?;
/// # guard.release().await;
/// # Ok(())
/// # }
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Acquire(Pin<Box<dyn Future<Output = Result<Guard, Error>> + Send>>);

impl Future for Acquire {
    type Output = Result<Guard, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Acquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire").finish_non_exhaustive()
    }
}
