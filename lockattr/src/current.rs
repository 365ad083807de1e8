//! The locked calls that the running task is inside, and their leases.

use std::cell::RefCell;
use std::future::poll_fn;
use std::iter::successors;
use std::mem;
use std::panic::UnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::Span;
use tracing::span::EnteredSpan;

use crate::driver::{Commands, Grant, Lease};
use crate::key::Key;
use crate::label::Label;
use crate::spec::{Options, Release, Spec};
use crate::{Error, LossReason};

thread_local! {
    /// The innermost call that is being polled on this thread.
    static CURRENT: RefCell<Option<Arc<Call>>> = const { RefCell::new(None) };

    /// The scopes of the bodies that this thread is dropping.
    static OPENED: RefCell<Vec<Option<Scope>>> = const { RefCell::new(Vec::new()) };
}

/// The options of a call, and its label.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    Attribute(&'static Spec),
    Request(Box<(Options, Label)>),
}

impl Asked {
    pub(crate) fn options(&self) -> &Options {
        match self {
            Self::Attribute(spec) => &spec.options,
            Self::Request(request) => &request.0,
        }
    }

    pub(crate) fn label(&self) -> Label {
        match self {
            Self::Attribute(spec) => Label::Function(&spec.function),
            Self::Request(request) => request.1,
        }
    }
}

/// One call of a locked function, and the calls around it.
#[derive(Debug)]
pub(crate) struct Call {
    asked: Asked,
    outer: Option<Arc<Call>>,
    lease: OnceLock<Lease>,
    result: Mutex<Entered>,
    /// Lets one nested call at a time run under this call's lease.
    turn: Semaphore,
}

/// The result of a call's entry.
#[derive(Debug)]
pub(crate) enum Entered {
    Not,
    Refused(Error),
    Held(Hold),
}

/// Keeps the lease while the call runs.
#[derive(Debug)]
pub(crate) enum Hold {
    Own {
        grant: Grant,
        ttl: Duration,
        release: Release,
    },
    Nested {
        _turn: Turn,
    },
}

/// The right to run under the lease of an outer call.
#[derive(Debug)]
pub(crate) struct Turn(Arc<Call>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.turn.add_permits(1);
    }
}

impl Call {
    /// Makes a call, nested in the call that is being polled, if there is one.
    pub(crate) fn new(asked: Asked) -> Arc<Self> {
        Arc::new(Self {
            asked,
            outer: running(),
            lease: OnceLock::new(),
            result: Mutex::new(Entered::Not),
            turn: Semaphore::new(1),
        })
    }

    pub(crate) fn asked(&self) -> &Asked {
        &self.asked
    }

    /// Returns the lease under which the call runs, once it does.
    pub(crate) fn lease(&self) -> Option<&Lease> {
        self.lease.get()
    }

    pub(crate) fn enter(&self, lease: Lease, hold: Hold) {
        // A call enters once.
        drop(self.lease.set(lease));
        *self.result() = Entered::Held(hold);
    }

    pub(crate) fn refuse(&self, error: Error) {
        *self.result() = Entered::Refused(error);
    }

    pub(crate) fn is_entered(&self) -> bool {
        matches!(*self.result(), Entered::Held(_))
    }

    /// Returns the ttl of the lease, unless it is an outer call's lease.
    pub(crate) fn own_ttl(&self) -> Option<Duration> {
        match *self.result() {
            Entered::Held(Hold::Own { ttl, .. }) => Some(ttl),
            _ => None,
        }
    }

    /// Takes the refusal or the lease out of the call.
    pub(crate) fn leave(&self) -> Entered {
        mem::replace(&mut *self.result(), Entered::Not)
    }

    /// Does the same after a body that failed: its `min_hold` does not count.
    pub(crate) fn fail(&self) -> Entered {
        let mut left = self.leave();
        if let Entered::Held(Hold::Own { grant, .. }) = &mut left
            && !self.asked.options().min_hold_on_failure
        {
            grant.count_min_hold(false);
        }
        left
    }

    fn result(&self) -> MutexGuard<'_, Entered> {
        self.result.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the calls around this one that have a lease of their own, from the inside to the outside.
    pub(crate) fn holders_around(&self) -> impl Iterator<Item = &Arc<Self>> {
        let outer = self.outer.as_ref().map(outwards);
        let outer = outer.into_iter().flatten();
        outer.filter(|call| call.own_ttl().is_some() && call.lease().is_some_and(Lease::is_valid))
    }

    /// Returns the nearest outer call that runs under a lease of this key.
    pub(crate) fn outer_under(&self, pool: &Commands, key: &Key) -> Option<(Arc<Self>, Lease)> {
        nearest_under(self.outer.as_ref()?, pool, key)
    }

    /// Waits until no other nested call runs under this call's `lease`, first come, first served.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] when the lease is over.
    pub(crate) async fn turn(self: Arc<Self>, lease: &Lease) -> Result<Turn, Error> {
        if let Some(reason) = lease.over() {
            return Err(lease.lost_error(reason));
        }
        if let Ok(permit) = self.turn.try_acquire() {
            permit.forget();
            return Ok(Turn(Arc::clone(&self)));
        }
        let taken = {
            let mut lost = pin!(lease.lost());
            let mut free = pin!(self.turn.acquire());
            poll_fn(|cx| {
                let ended = lost.as_mut().poll(cx).is_ready();
                if let Some(reason) = lease.over().or(ended.then_some(LossReason::Expired)) {
                    return Poll::Ready(Err(lease.lost_error(reason)));
                }
                let free = free.as_mut().poll(cx);
                free.map(|permit| {
                    permit
                        .map(SemaphorePermit::forget)
                        .map_err(|_| Error::Closed)
                })
            })
            .await
        };
        taken?;
        Ok(Turn(self))
    }
}

/// Makes a call the running call, in its lease's span, until the scope is dropped.
#[derive(Debug)]
pub(crate) struct Scope {
    previous: Option<Arc<Call>>,
    _span: EnteredSpan,
}

impl Scope {
    pub(crate) fn enter(call: &Arc<Call>) -> Self {
        let span = call.lease().map_or_else(Span::none, Lease::span);
        Self {
            previous: swap(Some(Arc::clone(call))),
            _span: span.entered(),
        }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        drop(swap(self.previous.take()));
    }
}

/// Enters the scope of a call when it is dropped. It stands before the body in the struct.
#[derive(Debug, Default)]
pub struct OpenOnDrop(Option<Arc<Call>>);

/// Leaves that scope when it is dropped. It stands after the body.
#[derive(Debug)]
pub struct CloseOnDrop;

impl UnwindSafe for OpenOnDrop {}

impl OpenOnDrop {
    pub(crate) fn arm(&mut self, call: &Arc<Call>) {
        self.0 = Some(Arc::clone(call));
    }
}

impl Drop for OpenOnDrop {
    fn drop(&mut self) {
        let scope = self.0.as_ref().map(Scope::enter);
        // At the end of a thread its thread-locals are gone, and so is the running call.
        _ = OPENED.try_with(|opened| opened.borrow_mut().push(scope));
    }
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        let scope = OPENED.try_with(|opened| opened.borrow_mut().pop());
        drop(scope);
    }
}

/// Sets the running call and returns the previous call; `None` while the thread ends.
fn swap(call: Option<Arc<Call>>) -> Option<Arc<Call>> {
    CURRENT
        .try_with(|current| current.replace(call))
        .ok()
        .flatten()
}

/// Returns the innermost call that is being polled.
pub(crate) fn running() -> Option<Arc<Call>> {
    CURRENT
        .try_with(|current| current.borrow().clone())
        .ok()
        .flatten()
}

/// Returns the call that is so many calls further out than the innermost one.
pub(crate) fn running_around(inner: usize) -> Option<Arc<Call>> {
    outwards(&running()?).nth(inner).cloned()
}

/// Returns the innermost lease under which this task runs: the lease of the nearest function with
/// the attribute, or of the nearest [`LockRequest::run`](crate::LockRequest::run).
///
/// So code deep inside can use the fencing token without getting it as an argument. A lease does
/// not follow `tokio::spawn`: a spawned task may outlive it.
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
    let innermost = running()?;
    outwards(&innermost).find_map(|call| call.lease().cloned())
}

/// Returns the lease of this key that the task holds, if there is one.
pub(crate) fn find(pool: &Commands, key: &Key) -> Option<Lease> {
    nearest_under(&running()?, pool, key).map(|(_, lease)| lease)
}

/// Returns whether the task runs under a valid lease of this key, from any pool.
pub(crate) fn is_held(key: &Key) -> bool {
    let Some(innermost) = running() else {
        return false;
    };
    outwards(&innermost)
        .filter_map(|call| call.lease())
        .any(|lease| lease.token_of(key.as_str()).is_some() && lease.is_valid())
}

fn outwards(innermost: &Arc<Call>) -> impl Iterator<Item = &Arc<Call>> {
    successors(Some(innermost), |call| call.outer.as_ref())
}

fn nearest_under(innermost: &Arc<Call>, pool: &Commands, key: &Key) -> Option<(Arc<Call>, Lease)> {
    outwards(innermost).find_map(|call| {
        let lease = call.lease()?;
        let is_it = lease.token_of(key.as_str()).is_some() && lease.pool().is_of(pool);
        is_it.then(|| (Arc::clone(call), lease.clone()))
    })
}
