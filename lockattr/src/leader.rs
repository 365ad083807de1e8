//! Leader election: one of many processes does the work, and another takes over.

use std::time::Duration;

use tracing::warn;

use crate::asked_key::Key;
use crate::driver::Lease;
use crate::keys::Keys;
use crate::label::Label;
use crate::pool::{LockPool, PoolSource};
use crate::request::LockRequest;
use crate::spec::Wait;
use crate::{Error, timing};

/// The pauses after failures that waiting alone does not heal, such as a wrong password.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Stands for election as the one leader of this name in the fleet.
///
/// `name` is the key of a lock: a text, or what [`key!`](crate::key!) returns.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lockattr::Error> {
/// # use std::time::Duration;
/// # let pool = lockattr::LockPool::memory().await?;
/// let election = lockattr::lead("billing").ttl(Duration::from_secs(10)).pool(&pool);
/// let billed = election.run(async |leadership| {
///     assert!(leadership.is_leader());
///     // Bills under `leadership.epoch()`, and returns to resign.
///     3
/// }).await?;
/// assert_eq!(billed, 3);
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn lead(name: impl Into<Key>) -> Election {
    Election {
        pool: PoolSource::Installed,
        key: name.into(),
        ttl: None,
        label: Label::here(),
    }
}

/// An election, made by [`lead`].
///
/// # Examples
///
/// ```no_run
/// # async fn work(epoch: u64) {}
/// # async fn start() -> Result<(), lockattr::Error> {
/// let election: lockattr::Election = lockattr::lead("scheduler");
/// election.run(async |leadership| work(leadership.epoch()).await).await
/// # }
/// ```
#[derive(Debug)]
#[must_use = "an election does nothing until `run`"]
pub struct Election {
    pool: PoolSource,
    key: Key,
    ttl: Option<Duration>,
    label: Label,
}

/// The right to lead, until it is lost.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lockattr::Error> {
/// # let pool = lockattr::LockPool::memory().await?;
/// let election = lockattr::lead("billing").pool(&pool);
/// let leadership: lockattr::Leadership = election.run(async |leadership| leadership).await?;
/// assert!(!leadership.is_leader(), "a body that returns has resigned");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Leadership(Lease);

impl Leadership {
    /// Returns a number that is greater than that of every leader before: the lease's
    /// [fencing token](Lease::fencing_token). Let what the leader writes to refuse smaller ones.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let election = lockattr::lead("billing").pool(&pool);
    /// let first = election.run(async |leadership| leadership.epoch()).await?;
    /// # let election = lockattr::lead("billing").pool(&pool);
    /// let second = election.run(async |leadership| leadership.epoch()).await?;
    /// assert!(second > first);
    /// # Ok(())
    /// # }
    /// ```
    pub fn epoch(&self) -> u64 {
        self.0.fencing_token()
    }

    /// Returns whether this is still the leader, by this machine's clock.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let election = lockattr::lead("billing").pool(&pool);
    /// let is_leader = election.run(async |leadership| leadership.is_leader());
    /// assert!(is_leader.await?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_leader(&self) -> bool {
        self.0.is_valid()
    }

    /// Returns the lease behind it.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let election = lockattr::lead("billing").pool(&pool);
    /// let key = election.run(async |leadership| leadership.lease().key().to_owned());
    /// println!("{} is led", key.await?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn lease(&self) -> &Lease {
        &self.0
    }
}

impl Election {
    /// How long others wait for a leader that has crashed. 50 ms to 24 h; defaults to the pool's.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// use std::time::Duration;
    ///
    /// let election = lockattr::lead("billing").pool(&pool).ttl(Duration::from_secs(5));
    /// election.run(async |_leadership| ()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// The pool to use. Defaults to the installed one, or that of the scope.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let election = lockattr::lead("billing").pool(&pool);
    /// election.run(async |_leadership| ()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn pool(mut self, pool: &LockPool) -> Self {
        self.pool = PoolSource::Given(pool.clone());
        self
    }

    /// Waits to become the leader, however long that takes, and runs `body` as the leader.
    ///
    /// When the leadership is lost, the body's future is dropped and the election goes on, so the body
    /// may run several times, each under a greater epoch. When the body returns, another one can lead
    /// at once, and the value is returned here. Failures of the lock service are traced, and it is
    /// asked again, after pauses that grow to 10 s.
    ///
    /// # Errors
    ///
    /// Those that do not pass: [`Error::InvalidKey`], [`Error::Config`], [`Error::NotConfigured`],
    /// [`Error::Closed`], [`Error::Forked`], and [`Error::Reentrant`] when the task holds this name's
    /// lock already.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the body, if it runs, and steps down in the background.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// let election = lockattr::lead("billing").pool(&pool);
    /// let epoch = election.run(async |leadership| {
    ///     println!("leads as epoch {}", leadership.epoch());
    ///     leadership.epoch()
    /// });
    /// assert!(epoch.await? > 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run<T, F>(self, mut body: impl FnMut(Leadership) -> F) -> Result<T, Error>
    where
        F: Future<Output = T>,
    {
        let pool = self.pool.resolve()?;
        let keys = self.key.checked().map(Keys::from);
        let mut request = LockRequest::new(pool.clone(), keys, self.label).wait(Wait::Forever);
        if let Some(ttl) = self.ttl {
            request = request.ttl(ttl);
        }
        let mut failures = 0;
        loop {
            let term = request.clone().run(|lease| {
                failures = 0;
                body(Leadership(lease))
            });
            let error = match term.await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let passes = matches!(
                error,
                Error::Backend { .. } | Error::Lost { .. } | Error::Missed { .. }
            );
            if !passes {
                return Err(error);
            }
            let mut jitter = fastrand::Rng::new();
            let pause = timing::backoff(failures, FIRST_PAUSE, LONGEST_PAUSE, &mut jitter);
            failures += 1;
            warn!(name = %self.key, %error, ?pause, "this is not the leader; it stands for election again");
            pool.pause(pause).await?;
        }
    }
}
