//! The options of a request: those of the attribute, under the same names.

use std::time::Duration;

use super::LockRequest;
use crate::label::Label;
use crate::mode::Mode;
use crate::spec::{OnLost, Release, Wait};

impl LockRequest {
    /// How long the lease lasts without renewal: after a crash, other calls wait this long.
    /// 50 ms to 24 h.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// use std::time::Duration;
    ///
    /// let guard = pool.lock("order:42").ttl(Duration::from_secs(5)).await?;
    /// assert!(guard.remaining() < Duration::from_secs(5));
    /// # Ok(())
    /// # }
    /// ```
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.options.ttl = Some(ttl);
        self
    }

    /// How long to queue: a [`Duration`] (zero means to try once), or [`Wait::Forever`].
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// use lockattr::Wait;
    /// use std::time::Duration;
    ///
    /// let guard = pool.lock("order:42").wait(Wait::Forever).await?;
    /// let busy = pool.lock("order:42").wait(Duration::from_millis(20)).await;
    /// assert!(busy.unwrap_err().is_busy());
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait(mut self, wait: impl Into<Wait>) -> Self {
        self.options.wait = Some(wait.into());
        self
    }

    /// Whether the lease is renewed while it is held. Defaults to true.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// use std::time::Duration;
    ///
    /// let request = pool.lock("order:42").ttl(Duration::from_millis(100)).renew(false);
    /// let lost = request.run(|_lease| std::future::pending::<()>()).await;
    /// assert!(lost.unwrap_err().is_lost());
    /// # Ok(())
    /// # }
    /// ```
    pub fn renew(mut self, renew: bool) -> Self {
        self.options.renew = renew;
        self
    }

    /// The longest time that renewal keeps the lease. Defaults to no limit.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// use std::time::Duration;
    ///
    /// let request = pool.lock("order:42").max_hold(Duration::from_millis(100));
    /// let lost = request.run(|_lease| std::future::pending::<()>()).await;
    /// assert!(lost.unwrap_err().is_lost());
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_hold(mut self, max_hold: Duration) -> Self {
        self.options.max_hold = Some(max_hold);
        self
    }

    /// Lets other shared holders have the key at the same time; without this, a lease keeps all others
    /// out.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let one = pool.lock("prices").shared().await?;
    /// assert!(pool.lock("prices").shared().try_acquire().await?.is_some());
    /// assert!(pool.lock("prices").try_acquire().await?.is_none(), "a writer waits");
    /// # Ok(())
    /// # }
    /// ```
    pub fn shared(mut self) -> Self {
        self.options.mode = Mode::Shared;
        self
    }

    /// Lets others with permits have the key at the same time, while fewer than this number are taken.
    ///
    /// All calls of a key use the same number; others are refused while one has it.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let one = pool.lock("carrier").permits(2).await?;
    /// let other = pool.lock("carrier").permits(2).await?;
    /// assert!(pool.lock("carrier").permits(2).try_acquire().await?.is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn permits(mut self, permits: u32) -> Self {
        let weight = match self.options.mode {
            Mode::Permits { weight, .. } => weight,
            _ => 1,
        };
        self.options.mode = Mode::Permits { permits, weight };
        self
    }

    /// With [`permits`](Self::permits): how many this request takes, all at once. Defaults to 1.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let big = pool.lock("carrier").permits(3).weight(2).await?;
    /// assert!(pool.lock("carrier").permits(3).weight(2).try_acquire().await?.is_none());
    /// assert!(pool.lock("carrier").permits(3).try_acquire().await?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn weight(mut self, weight: u32) -> Self {
        let permits = match self.options.mode {
            Mode::Permits { permits, .. } => permits,
            // Refused later: there is no weight without permits.
            _ => 0,
        };
        self.options.mode = Mode::Permits { permits, weight };
        self
    }

    /// Keeps other calls out for at least this long after the grant, also when this one has finished
    /// before: for jobs that are started by several machines at about the same time.
    ///
    /// [`run`](Self::run) counts every value of its body as success, an `Err` too; after a panic, and
    /// when it is cancelled, other calls are let in at once. A guard keeps them out however it ends.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// use std::time::Duration;
    ///
    /// let request = pool.lock("nightly").min_hold(Duration::from_secs(20));
    /// request.run(|_lease| async { "done in no time" }).await?;
    /// assert!(pool.is_locked("nightly").await?, "other machines come a little later");
    /// # Ok(())
    /// # }
    /// ```
    pub fn min_hold(mut self, min_hold: Duration) -> Self {
        self.options.min_hold = Some(min_hold);
        self
    }

    /// Whether [`min_hold`](Self::min_hold) also counts when the body panicked or was cancelled.
    /// Defaults to false.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// use std::time::Duration;
    ///
    /// let request = pool.lock("nightly").min_hold(Duration::from_secs(20));
    /// let guard = request.min_hold_on_failure(true).await?;
    /// drop(guard); // without a release: what it was for has failed
    /// # tokio::task::yield_now().await;
    /// assert!(pool.is_locked("nightly").await?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn min_hold_on_failure(mut self, counts: bool) -> Self {
        self.options.min_hold_on_failure = counts;
        self
    }

    /// What [`run`](Self::run) does when the lease is lost. Defaults to [`OnLost::Cancel`].
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// use lockattr::OnLost;
    /// use std::time::Duration;
    ///
    /// let request = pool.lock("order:42").ttl(Duration::from_millis(100)).renew(false);
    /// let request = request.on_lost(OnLost::Finish);
    /// let value = request.run(|lease| async move {
    ///     lease.lost().await;
    ///     7 // it runs on, and its value is returned
    /// });
    /// assert_eq!(value.await?, 7);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_lost(mut self, on_lost: OnLost) -> Self {
        self.options.on_lost = on_lost;
        self
    }

    /// Code that blocks its thread cannot be cancelled.
    #[cfg(feature = "blocking")]
    pub(crate) fn without_cancelling(mut self) -> Self {
        if self.options.on_lost == OnLost::Cancel {
            self.options.on_lost = OnLost::Error;
        }
        self
    }

    /// Whether [`run`](Self::run) nests when the task already holds the key. Defaults to false.
    ///
    /// A nested request uses its own [`on_lost`](Self::on_lost); all else comes from the outer
    /// lease. Nested requests that run side by side take turns. If the outer lease is over, they
    /// fail with [`Error::Lost`](crate::Error::Lost).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let outer = pool.lock("order:42").run(|_lease| async {
    ///     let inner = pool.lock("order:42").reentrant(true);
    ///     inner.run(|_lease| async { 7 }).await
    /// });
    /// assert_eq!(outer.await??, 7);
    /// # Ok(())
    /// # }
    /// ```
    pub fn reentrant(mut self, reentrant: bool) -> Self {
        self.options.reentrant = reentrant;
        self
    }

    /// Whether [`run`](Self::run) waits for the release. Defaults to the pool's.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// use lockattr::Release;
    ///
    /// let request = pool.lock("order:42").release(Release::Background);
    /// let value = request.run(|_lease| async { 7 }).await?; // a round trip sooner
    /// # assert_eq!(value, 7);
    /// # Ok(())
    /// # }
    /// ```
    pub fn release(mut self, release: Release) -> Self {
        self.options.release = Some(release);
        self
    }

    /// How many replicas must have a grant before it counts, and each renewal after it; 0 for none.
    /// Defaults to the pool's [`RedisOptions::confirm_replicas`](crate::RedisOptions::confirm_replicas),
    /// where it is explained.
    ///
    /// A service without replicas refuses the request with [`Error::Config`](crate::Error::Config).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn start(pool: lockattr::LockPool) -> Result<(), lockattr::Error> {
    /// let guard = pool.lock("order:42").confirm_replicas(1).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn confirm_replicas(mut self, replicas: u8) -> Self {
        self.options.confirm_replicas = Some(replicas);
        self
    }

    /// Whether a grant must be on the server's disk before it counts, and each renewal after it.
    /// Defaults to the pool's [`RedisOptions::confirm_fsync`](crate::RedisOptions::confirm_fsync), where
    /// it is explained.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn start(pool: lockattr::LockPool) -> Result<(), lockattr::Error> {
    /// let guard = pool.lock("order:42").confirm_fsync(true).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn confirm_fsync(mut self, fsync: bool) -> Self {
        self.options.confirm_fsync = Some(fsync);
        self
    }

    /// Names the caller in [`Holder::who`](crate::Holder::who), traces and metrics, instead of the file and line
    /// of this call: what people look for when they ask who has the key. It must not hold secrets, since it is
    /// stored with the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let _guard = pool.lock("order:42").caller("billing::import").await?;
    /// let holder = pool.holder("order:42").await?.expect("we have it");
    /// assert!(holder.who.ends_with("billing::import"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn caller(mut self, name: &'static str) -> Self {
        self.label = Label::Named(name);
        self
    }
}
