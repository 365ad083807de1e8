//! The pool itself.

use std::ops::Deref;
use std::time::Duration;

use super::acquisition::{Acquisition, Record};
use super::faults::{Faults, FaultyService};
use crate::backend::memory::MemoryBackend;
use crate::clock::{Clock, RuntimeClock};
use crate::{Error, Guard, Key, LockPool, LockPoolBuilder, Wait};

/// A pool for tests, with locks of its own. See the [module](super).
///
/// It is a [`LockPool`] too: hand a clone of that to code under test, or run it in
/// [`scope`](LockPool::scope). It runs as a task of the runtime in which it was made, so it ends with the test,
/// and functions that block their thread (feature `blocking`) need a runtime of several threads.
#[derive(Debug)]
pub struct TestPool {
    pool: LockPool,
    /// Another process of the fleet.
    other: LockPool,
    faults: Faults,
    record: Record,
}

/// A key that another process of the fleet has. It is released when this is dropped.
#[derive(Debug)]
#[must_use = "the key is released when this is dropped"]
pub struct OtherHolder(Guard);

impl TestPool {
    /// Returns a pool with default settings.
    ///
    /// # Errors
    ///
    /// As [`with`](Self::with).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// let locks = lockattr::testing::TestPool::new().await?;
    /// locks.lock("order:42").await?.release().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn new() -> Result<Self, Error> {
        Self::with(LockPool::builder()).await
    }

    /// Returns a pool with these settings. Those of the lock service do not count.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for a wrong setting, [`Error::System`] if the system gives no random bits.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// use lockattr::testing::TestPool;
    /// use std::time::Duration;
    ///
    /// let settings = lockattr::LockPool::builder().default_wait(Duration::from_millis(20));
    /// let locks = TestPool::with(settings).await?;
    /// let other = locks.hold("order:42").await;
    /// assert!(locks.lock("order:42").await.unwrap_err().is_busy());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn with(settings: LockPoolBuilder) -> Result<Self, Error> {
        let (faults, record) = (Faults::default(), Record::default());
        let clock = Clock::Runtime(RuntimeClock::here());
        let memory = MemoryBackend::private().by_clock(clock.clone());
        let beside = memory.beside();
        let service = FaultyService::new(memory, faults.clone());
        Ok(Self {
            pool: settings
                .url("memory://")
                .listener(record.clone())
                .build_here(clock.clone(), service)
                .await?,
            other: LockPool::builder()
                .url("memory://")
                .build_here(clock, beside)
                .await?,
            faults,
            record,
        })
    }

    /// Lets another process of the fleet take the key, once it is free.
    ///
    /// # Panics
    ///
    /// When the key cannot be locked.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # tokio::time::pause();
    /// let locks = lockattr::testing::TestPool::new().await?;
    /// let other = locks.hold("order:42").await;
    /// assert!(locks.lock("order:42").try_acquire().await?.is_none());
    /// other.release().await;
    /// assert!(locks.lock("order:42").try_acquire().await?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn hold(&self, key: impl Into<Key>) -> OtherHolder {
        let request = self.other.lock(key).wait(Wait::Forever);
        let holder = request.caller("another process").acquire().await;
        OtherHolder(holder.expect("it waits for ever, and the service has no faults for it"))
    }

    /// Lets the lock service refuse all requests from now on, until [`recover`](Self::recover): acquires fail once
    /// their `wait` is over, and leases are lost once they cannot be renewed in time.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # tokio::time::pause();
    /// let locks = lockattr::testing::TestPool::new().await?;
    /// let lost = locks.lock("order:42").run(|_| async {
    ///     locks.fail();
    ///     std::future::pending::<()>().await
    /// });
    /// assert!(lost.await.unwrap_err().is_lost()); // after 30 s of the paused time
    /// locks.recover();
    /// locks.lock("order:42").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn fail(&self) {
        self.faults.set_failing(true);
    }

    /// Ends what [`fail`](Self::fail) and [`delay`](Self::delay) have begun. Answers that are on their way arrive
    /// now.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// let locks = lockattr::testing::TestPool::new().await?;
    /// locks.fail();
    /// locks.recover();
    /// locks.lock("order:42").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn recover(&self) {
        self.faults.set_failing(false);
        self.faults.set_delay(Duration::ZERO);
    }

    /// Lets each answer of the lock service come so much later. After more than the pool's
    /// [`response_timeout`](LockPoolBuilder::response_timeout) it counts as lost.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # tokio::time::pause();
    /// use std::time::Duration;
    ///
    /// let locks = lockattr::testing::TestPool::new().await?;
    /// locks.delay(Duration::from_millis(300));
    /// locks.lock("order:42").await?;
    /// assert!(locks.acquisitions()[0].waited >= Duration::from_millis(300));
    /// # Ok(())
    /// # }
    /// ```
    pub fn delay(&self, answers: Duration) {
        self.faults.set_delay(answers);
    }

    /// Takes the key away from the call that has it, which hears of the loss at once. Returns whether there was
    /// one.
    ///
    /// # Errors
    ///
    /// As [`force_release`](LockPool::force_release).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # tokio::time::pause();
    /// let locks = lockattr::testing::TestPool::new().await?;
    /// let guard = locks.lock("order:42").await?;
    /// assert!(locks.lose("order:42").await?);
    /// guard.lost().await;
    /// assert!(!guard.is_valid());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn lose(&self, key: impl Into<Key>) -> Result<bool, Error> {
        let key = key.into();
        let had_it = self.other.force_release(key.clone()).await?;
        self.pool.commands().lose(&key.checked()?);
        Ok(had_it)
    }

    /// Returns what the calls of the pool acquired so far, in order. What [`hold`](Self::hold) took is not among
    /// it.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # tokio::time::pause();
    /// let locks = lockattr::testing::TestPool::new().await?;
    /// locks.lock("order:42").caller("shop").await?.release().await;
    /// let all = locks.acquisitions();
    /// assert_eq!((&*all[0].key, &*all[0].function), ("order:42", "shop"));
    /// assert!(all[0].held.is_some() && all[0].lost.is_none());
    /// locks.forget();
    /// assert!(locks.acquisitions().is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn acquisitions(&self) -> Vec<Acquisition> {
        self.record.acquisitions()
    }

    /// Forgets what was acquired so far.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// let locks = lockattr::testing::TestPool::new().await?;
    /// locks.lock("order:42").await?.release().await;
    /// locks.forget();
    /// lockattr::assert_not_acquired!(locks, "order:42");
    /// # Ok(())
    /// # }
    /// ```
    pub fn forget(&self) {
        self.record.clear();
    }

    /// The function behind [`assert_acquired!`](crate::assert_acquired!).
    ///
    /// # Panics
    ///
    /// Unless the key was acquired so many times, or at least once.
    #[doc(hidden)]
    #[track_caller]
    pub fn assert_acquired(&self, key: impl Into<Key>, times: Option<usize>) {
        let key = key.into();
        let all = self.acquisitions();
        let found = all.iter().filter(|it| it.key == key.as_str()).count();
        if times.map_or(found > 0, |times| found == times) {
            return;
        }
        let expected = times.map_or_else(|| "at least once".to_owned(), |n| format!("{n} times"));
        let lines = all.iter().map(|it| format!("\n  {it}"));
        let all = if all.is_empty() {
            " nothing".to_owned()
        } else {
            lines.collect::<Vec<_>>().concat()
        };
        panic!(
            "`{}` was acquired {found} times, not {expected}; all that was acquired:{all}",
            key.as_str()
        );
    }
}

impl Deref for TestPool {
    type Target = LockPool;

    fn deref(&self) -> &LockPool {
        &self.pool
    }
}

impl OtherHolder {
    /// Releases the key, and waits until the next call has it or it is free.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// let locks = lockattr::testing::TestPool::new().await?;
    /// let other = locks.hold("order:42").await;
    /// other.release().await;
    /// assert!(!locks.is_locked("order:42").await?);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn release(self) {
        self.0.release().await;
    }
}
