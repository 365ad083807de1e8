//! Hooks for what happens to the locks of a pool: [`Listener`] has an example.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use crate::LossReason;
use crate::key::Key;
use crate::label::Label;

/// Hears of contention, grants, losses and releases, for programs with neither traces nor metrics.
///
/// Given to [`LockPoolBuilder::listener`](crate::LockPoolBuilder::listener). Each method does nothing unless
/// it is written. All of them run between the steps of the call, or on the thread that renews the pool's
/// leases, so they must not block: send what takes time to a task. A panic in one of them is caught, after the
/// process' panic hook has reported it.
///
/// A call for several keys is heard of once for each key, and once more for each time that it asks.
/// Nested calls of a [reentrant](crate::distributed_lock) function are not heard of: they have no lease of their
/// own.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use std::sync::Arc;
///
/// use lockattr::listener::{Acquired, Listener, Lost};
///
/// #[derive(Default)]
/// struct Losses(AtomicU64);
///
/// impl Listener for Losses {
///     fn on_acquired(&self, acquired: &Acquired<'_>) {
///         println!("{} after {:?}", acquired.call.key(), acquired.waited);
///     }
///
///     fn on_lost(&self, _: &Lost<'_>) {
///         self.0.fetch_add(1, Ordering::Relaxed);
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lockattr::Error> {
/// let losses = Arc::new(Losses::default());
/// let pool = lockattr::LockPool::builder()
///     .url("memory://")
///     .listener(Arc::clone(&losses))
///     .build()
///     .await?;
/// pool.lock("order:42").await?.release().await;
/// assert_eq!(losses.0.load(Ordering::Relaxed), 0);
/// # Ok(())
/// # }
/// ```
pub trait Listener: Send + Sync + 'static {
    /// A call found its key held, and waits or gives up: once when it joins the queue of its process, and
    /// again for each answer of the lock service that says so.
    fn on_contended(&self, contended: &Contended<'_>) {
        let _ = contended;
    }

    /// A call got its lease. Followed by one [`on_released`](Self::on_released), whatever comes between.
    fn on_acquired(&self, acquired: &Acquired<'_>) {
        let _ = acquired;
    }

    /// A lease ended before its call had finished with it. It may come before
    /// [`on_acquired`](Self::on_acquired), from another thread, or alone, if the call was dropped meanwhile.
    fn on_lost(&self, lost: &Lost<'_>) {
        let _ = lost;
    }

    /// A call has finished with its lease, which goes to the next call of the process or to the lock
    /// service from here.
    fn on_released(&self, released: &Released<'_>) {
        let _ = released;
    }
}

impl<L: Listener> Listener for Arc<L> {
    fn on_contended(&self, contended: &Contended<'_>) {
        L::on_contended(self, contended);
    }

    fn on_acquired(&self, acquired: &Acquired<'_>) {
        L::on_acquired(self, acquired);
    }

    fn on_lost(&self, lost: &Lost<'_>) {
        L::on_lost(self, lost);
    }

    fn on_released(&self, released: &Released<'_>) {
        L::on_released(self, released);
    }
}

/// Who asks for which key, or has it.
#[derive(Debug, Clone, Copy)]
pub struct LockCall<'a> {
    key: &'a Key,
    label: Label,
}

impl<'a> LockCall<'a> {
    pub(crate) fn new(key: &'a Key, label: Label) -> Self {
        Self { key, label }
    }

    /// The key, filled in.
    ///
    /// # Examples
    ///
    /// ```
    /// use lockattr::listener::{Acquired, Listener};
    ///
    /// struct Prints;
    ///
    /// impl Listener for Prints {
    ///     fn on_acquired(&self, acquired: &Acquired<'_>) {
    ///         println!("{}", acquired.call.key());
    ///     }
    /// }
    /// ```
    pub fn key(&self) -> &'a str {
        self.key.as_str()
    }

    /// The attribute's key as it stands there, `order:{order_id}`; of several keys all, with spaces between.
    /// Empty for keys that expressions make, and for `pool.lock(…)`.
    ///
    /// # Examples
    ///
    /// ```
    /// use lockattr::listener::{Acquired, Listener};
    ///
    /// struct Prints;
    ///
    /// impl Listener for Prints {
    ///     fn on_acquired(&self, acquired: &Acquired<'_>) {
    ///         println!("{}", acquired.call.template());
    ///     }
    /// }
    /// ```
    pub fn template(&self) -> &'static str {
        self.label.template()
    }

    /// The path of the function under the attribute, the name given to
    /// [`LockRequest::caller`](crate::LockRequest::caller), or file and line of `pool.lock(…)`.
    ///
    /// # Examples
    ///
    /// ```
    /// use lockattr::listener::{Acquired, Listener};
    ///
    /// struct Prints;
    ///
    /// impl Listener for Prints {
    ///     fn on_acquired(&self, acquired: &Acquired<'_>) {
    ///         println!("{}", acquired.call.function());
    ///     }
    /// }
    /// ```
    pub fn function(&self) -> impl fmt::Display + use<> {
        self.label
    }
}

/// A call found its key held.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Contended<'a> {
    /// Who asks for what.
    pub call: LockCall<'a>,
    /// Host, process and function of the holder, if the lock service said so. `None` if the holder is a call of
    /// the same process.
    pub holder: Option<&'a str>,
    /// How long the holder's lease lasts unless it is renewed, if that is known.
    pub ends_in: Option<Duration>,
}

/// A call got its lease.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Acquired<'a> {
    /// Who has what.
    pub call: LockCall<'a>,
    /// The lease's [fencing token](crate::Lease::fencing_token).
    pub fencing_token: u64,
    /// How long it took, from the request on.
    pub waited: Duration,
}

/// A lease ended before its call had finished with it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Lost<'a> {
    /// Who had what.
    pub call: LockCall<'a>,
    /// The lease's [fencing token](crate::Lease::fencing_token).
    pub fencing_token: u64,
    /// Why it ended.
    pub reason: LossReason,
}

/// A call has finished with its lease.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Released<'a> {
    /// Who had what.
    pub call: LockCall<'a>,
    /// The lease's [fencing token](crate::Lease::fencing_token).
    pub fencing_token: u64,
    /// How long the call had the lease.
    pub held: Duration,
}

/// The listeners of a pool.
#[derive(Clone, Default)]
pub(crate) struct Listeners(Vec<Arc<dyn Listener>>);

impl Listeners {
    pub(crate) fn add(&mut self, listener: impl Listener) {
        self.0.push(Arc::new(listener));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &dyn Listener> {
        self.0.iter().map(|listener| &**listener)
    }
}

// What a listener that panicked has left half done is seen by itself alone.
impl UnwindSafe for Listeners {}
impl RefUnwindSafe for Listeners {}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} listeners", self.0.len())
    }
}
