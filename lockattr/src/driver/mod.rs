//! The pool's own I/O thread: it drives the protocol and a backend.
//!
//! Connections, timers, renewals and late releases live here, so they neither stop when a user's
//! runtime is blocked nor end with it. Callers' threads do their part of the protocol themselves,
//! under the mutex of the [`Coordinator`], and wake the thread when something is to be sent.

mod call;
mod effects;
mod grant;
mod handover;
mod lease;
mod observe;
mod pause;
mod questions;
mod recovery;
mod run;
mod start;
mod stats;
mod tenure;
mod thread_end;
mod trace_context;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc};
use std::task::Waker;
use std::time::Duration;
use std::{fmt, process};

use tokio::runtime;
use tokio::sync::{Notify, mpsc as mpsc_async, oneshot};

pub(crate) use call::Call;
pub(crate) use grant::{Acquiring, Grant};
pub use lease::Lease;
#[cfg(feature = "testing")]
pub(crate) use start::start_here;
pub(crate) use start::{Settings, start};
pub use stats::PoolStats;
pub(crate) use stats::{Counters, count_unreported};
pub(crate) use trace_context::CallTrace;

use crate::Error;
use crate::backend::Capabilities;
use crate::clock::{Clock, Time};
use crate::key::Key;
use crate::listener::Listeners;
use crate::protocol::{self, Caller, LineName, Queued, Terms};
use questions::Question;
use tenure::Tenure;

type Coordinator = protocol::Coordinator<WaitingCall, Reply>;
type Effect = protocol::Effect<WaitingCall, Reply>;

/// Receives the answer to a request. Dropping it means that the pool is gone.
#[derive(Debug)]
enum Reply {
    Call(oneshot::Sender<Result<(), Error>>),
    /// A thread that ends waits until no release is under way; then its sender is dropped.
    ThreadEnd {
        _waits: mpsc::Sender<()>,
    },
}

impl Reply {
    fn send(self, answer: Result<(), Error>) {
        if let Self::Call(call) = self {
            // An error means that the caller no longer waits.
            drop(call.send(answer));
        }
    }
}

/// A call that waits for its lease. Dropping it without an answer means that the pool is gone.
#[derive(Debug)]
struct WaitingCall(Arc<Call>);

impl WaitingCall {
    fn refuse(self, shared: &Shared, key: &Key, error: Error) {
        observe::refused(shared, self.0.trace(), key, &error);
        wake(self.0.refuse(error));
    }
}

impl Caller for WaitingCall {
    type Trace = Arc<Call>;

    fn trace(&self) -> Arc<Call> {
        Arc::clone(&self.0)
    }
}

impl Drop for WaitingCall {
    fn drop(&mut self) {
        wake(self.0.refuse(Error::Closed));
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// A handle of a pool. The I/O thread ends when the last clone is gone and nothing of the pool is
/// left on the server.
#[derive(Clone)]
pub(crate) struct Commands(Arc<Handle>);

/// Wakes the I/O thread when it is dropped, so that the thread can end.
struct Handle {
    shared: Arc<Shared>,
    /// That of the I/O thread.
    runtime: runtime::Handle,
}

impl Drop for Handle {
    fn drop(&mut self) {
        // In a forked process, what waits in `wake` was on the stack of a thread that is not there, and whose stack
        // another thread may have by now.
        if self.shared.check_process().is_ok() {
            self.shared.wake.notify_one();
        }
    }
}

#[derive(Debug)]
struct Shared {
    coordinator: Mutex<Coordinator>,
    /// Wakes the I/O thread.
    wake: Notify,
    counters: Counters,
    listeners: Listeners,
    clock: Clock,
    response_timeout: Duration,
    /// Where the I/O thread hears what the service is to be asked.
    questions: mpsc_async::UnboundedSender<Question>,
    /// Disconnected when the I/O thread is gone.
    io_thread: Mutex<mpsc::Receiver<()>>,
    /// The process in which the I/O thread runs.
    process: u32,
    /// Whether a shutdown was requested.
    is_closed: AtomicBool,
}

/// A handle that does not keep the I/O thread alive, for the thread itself and for leases.
#[derive(Clone)]
pub(crate) struct WeakCommands {
    handle: Weak<Handle>,
    shared: Arc<Shared>,
}

/// Prints nothing of the pool: its queues do not belong in the logs of one caller.
macro_rules! opaque {
    ($($name:ident),+) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )+};
}

opaque!(Commands, WeakCommands);

impl WeakCommands {
    pub(crate) fn upgrade(&self) -> Option<Commands> {
        self.handle.upgrade().map(Commands)
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// The present time of the pool's clock.
    pub(super) fn now(&self) -> Time {
        self.shared.clock.now()
    }

    /// Returns whether both are handles of the same pool.
    pub(crate) fn is_of(&self, pool: &Commands) -> bool {
        Arc::ptr_eq(&self.shared, pool.shared())
    }

    fn has_callers(&self) -> bool {
        self.handle.strong_count() > 0
    }
}

impl Shared {
    fn coordinator(&self) -> MutexGuard<'_, Coordinator> {
        let coordinator = self.coordinator.lock();
        coordinator.unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `act` on the caller's thread, and wakes the I/O thread if something is left for it.
    fn with<T>(&self, act: impl FnOnce(&mut Coordinator, Time) -> T) -> T {
        let (result, is_due) = {
            let mut coordinator = self.coordinator();
            let result = act(&mut coordinator, self.clock.now());
            (result, coordinator.is_due())
        };
        if is_due {
            self.wake.notify_one();
        }
        result
    }

    /// Whether metrics or listeners are told how long calls wait and hold.
    fn is_observed(&self) -> bool {
        cfg!(feature = "metrics") || !self.listeners.is_empty()
    }

    /// Call it before locking any mutex: in a forked process the mutex may be locked for ever.
    fn check_process(&self) -> Result<(), Error> {
        if process::id() == self.process {
            return Ok(());
        }
        Err(Error::Forked {
            parent: self.process,
        })
    }
}

impl Commands {
    /// The first handle of a pool. `io_thread` is disconnected when this thread, the I/O thread,
    /// ends.
    fn new(
        coordinator: Coordinator,
        settings: Settings,
        runtime: runtime::Handle,
        questions: mpsc_async::UnboundedSender<Question>,
        io_thread: mpsc::Receiver<()>,
    ) -> Self {
        Self(Arc::new(Handle {
            shared: Arc::new(Shared {
                coordinator: Mutex::new(coordinator),
                wake: Notify::new(),
                counters: Counters::default(),
                listeners: settings.listeners,
                clock: settings.clock,
                response_timeout: settings.limits.response_timeout,
                questions,
                io_thread: Mutex::new(io_thread),
                process: process::id(),
                is_closed: AtomicBool::new(false),
            }),
            runtime,
        }))
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    /// The present time of the pool's clock.
    pub(crate) fn now(&self) -> Time {
        self.0.shared.clock.now()
    }

    /// Asks for a lease. The request is cancelled when the answer's future is dropped.
    pub(crate) fn acquire(&self, terms: Arc<Terms>) -> Acquiring {
        let trace = CallTrace::of(&terms);
        Acquiring::begin(self.clone(), terms, trace)
    }

    /// Joins the queue of the key. Returns the waiter's number and whether it is the first, or `None`
    /// if the call is refused.
    fn join(&self, terms: Arc<Terms>, call: &Arc<Call>) -> Option<(u64, bool)> {
        let key = terms.key.clone();
        let caller = WaitingCall(Arc::clone(call));
        if let Err(error) = self.shared().check_process() {
            caller.refuse(self.shared(), &key, error);
            return None;
        }
        let queued = self
            .shared()
            .with(|coordinator, now| coordinator.acquire(now, terms, caller));
        match queued {
            Queued::Waiting { waiter, is_first } => Some((waiter, is_first)),
            Queued::Refused(caller, error) => {
                caller.refuse(self.shared(), &key, error);
                None
            }
        }
    }

    /// Leaves the queue of the key.
    fn leave(&self, line: &LineName, waiter: u64) {
        if self.is_forked() {
            return;
        }
        let (waiter, is_releasing) = self
            .shared()
            .with(|coordinator, now| coordinator.leave(now, line, waiter));
        // Dropping it runs the caller's waker and the end of its span, so not under the mutex.
        drop(waiter);
        if is_releasing {
            thread_end::await_releases(self);
        }
    }

    /// Extends the lease of the holder of `token`.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] when the pool is gone, and the lock service's own errors; `None` when this
    /// holder no longer has the lease.
    pub(crate) async fn extend(
        &self,
        tenure: &Tenure,
        token: u64,
        ttl: Duration,
    ) -> Option<Result<(), Error>> {
        if let Err(error) = self.shared().check_process() {
            return Some(Err(error));
        }
        let answer = self.ask(|coordinator, now, reply| {
            coordinator.extend(now, tenure.line(), tenure.id(), (token, ttl), reply)
        });
        Some(answer?.await.unwrap_or(Err(Error::Closed)))
    }

    /// Ends the leases of a key here, as if the lock service had said that they are gone.
    #[cfg(feature = "testing")]
    pub(crate) fn lose(&self, key: &Key) {
        self.shared()
            .with(|coordinator, now| coordinator.lose(now, key));
    }

    pub(crate) async fn shutdown(&self, within: Duration) -> Result<(), Error> {
        self.shared().check_process()?;
        self.shared().is_closed.store(true, Ordering::Release);
        let answer = self.ask(|coordinator, now, reply| coordinator.shutdown(now, within, reply));
        self.shared().wake.notify_one();
        match answer {
            Some(answer) => answer.await.unwrap_or(Err(Error::Closed)),
            None => Err(Error::Closed),
        }
    }

    /// Whether the pool was built by another process, from which this one was forked.
    fn is_forked(&self) -> bool {
        self.shared().check_process().is_err()
    }

    /// Whether calls of this process can still be served.
    pub(crate) fn is_usable(&self) -> bool {
        let is_closed = self.shared().is_closed.load(Ordering::Acquire);
        !is_closed && !self.is_forked() && self.shared().has_thread()
    }

    fn downgrade(&self) -> WeakCommands {
        WeakCommands {
            handle: Arc::downgrade(&self.0),
            shared: Arc::clone(self.shared()),
        }
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.shared().counters
    }

    /// Returns what the lock service can do.
    pub(crate) fn capabilities(&self) -> Capabilities {
        self.shared().coordinator().capabilities().clone()
    }

    /// Sends a request that is answered later. Returns `None` if `request` refuses it.
    fn ask(
        &self,
        request: impl FnOnce(&mut Coordinator, Time, Reply) -> Result<(), Reply>,
    ) -> Option<oneshot::Receiver<Result<(), Error>>> {
        let (reply, answer) = oneshot::channel();
        let asked = self
            .shared()
            .with(|coordinator, now| request(coordinator, now, Reply::Call(reply)));
        asked.ok().map(|()| answer)
    }
}
