//! The pool's own I/O thread: it drives the protocol and a backend.
//!
//! Connections, timers, renewals and late releases live here, so they neither stop when a user's
//! runtime is blocked nor end with it. Callers talk to the thread by messages that every runtime
//! can wait for.

mod call;
mod grant;
mod observe;
mod recovery;
mod run;
mod shutdown;
mod start;
mod stats;
mod thread_end;
mod trace_context;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::Waker;
use std::time::Duration;
use std::{fmt, process};

use tokio::sync::mpsc::{UnboundedSender, WeakUnboundedSender};
use tokio::sync::oneshot;
use tracing::debug_span;
use tracing::field::Empty;

pub(crate) use call::Call;
pub(crate) use grant::{Acquiring, Grant};
pub(crate) use start::start;
pub use stats::PoolStats;
pub(crate) use stats::{Counters, count_unreported};
pub(crate) use trace_context::CallTrace;

use crate::Error;
use crate::clock::Time;
use crate::key::Key;
use crate::lease::{Lease, Tenure};
use crate::protocol::{Joined, LocalQueues, Order, Released, Terms, Waiter};
use recovery::shielded;

/// What callers ask of the I/O thread.
#[derive(Debug)]
enum Command {
    Order(Order),
    Release {
        id: u64,
        done: Option<oneshot::Sender<()>>,
    },
    Extend {
        id: u64,
        ttl: Duration,
        reply: Reply,
    },
    /// Wake the loop: a new deadline is earlier than the present sleep.
    Wake,
    Shutdown {
        within: Duration,
        reply: Reply,
    },
    /// A thread that ends waits until no release is under way; then its sender is dropped.
    AwaitReleases {
        waits: mpsc::Sender<()>,
    },
}

type Reply = oneshot::Sender<Result<(), Error>>;

/// A call that waits for its lease. When it is dropped unanswered, the pool is gone.
#[derive(Debug)]
struct Caller(Arc<Call>);

/// A tenure goes back to the lock service; the next caller asks for itself.
struct Over {
    next: Option<Order>,
}

impl Caller {
    fn refuse(self, counters: &Counters, key: &Key, error: Error) {
        observe::refused(counters, self.0.trace(), key, &error);
        wake(self.0.refuse(error));
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        wake(self.0.refuse(Error::Closed));
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The way to the I/O thread. The thread ends when the last clone is gone and nothing of the pool
/// is left on the server.
#[derive(Clone)]
pub(crate) struct Commands {
    sender: UnboundedSender<Command>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queues: Mutex<LocalQueues<Caller>>,
    counters: Counters,
    response_timeout: Duration,
    /// Disconnected when the I/O thread is gone.
    io_thread: Mutex<mpsc::Receiver<()>>,
    /// The process that has the I/O thread.
    process: u32,
    /// Whether a shutdown was asked for.
    is_closed: AtomicBool,
}

/// A way to [`Commands`] that does not keep the thread alive: the thread's own, and that of leases.
#[derive(Clone)]
pub(crate) struct WeakCommands {
    sender: WeakUnboundedSender<Command>,
    shared: Arc<Shared>,
}

/// Nothing of the pool: its queues are not for the logs of one caller.
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
        let sender = self.sender.upgrade()?;
        Some(Commands {
            sender,
            shared: Arc::clone(&self.shared),
        })
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// Whether both lead to the same pool.
    pub(crate) fn is_of(&self, pool: &Commands) -> bool {
        Arc::ptr_eq(&self.shared, &pool.shared)
    }
}

impl Shared {
    fn queues(&self) -> MutexGuard<'_, LocalQueues<Caller>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be called before any mutex is locked: in a forked process it may be locked for ever.
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
    /// Asks for a lease. The request is cancelled when the answer's future is dropped.
    pub(crate) fn acquire(&self, terms: Terms) -> Acquiring {
        let (key, label) = (&terms.key, terms.label);
        let span = debug_span!("lock", %key, lock = %label, fencing_token = Empty);
        Acquiring::begin(self.clone(), terms, CallTrace::new(span))
    }

    /// Takes a place in the local queue, if one is to be had.
    fn join(&self, terms: Terms, call: &Arc<Call>) -> Option<Place> {
        let key = terms.key.clone();
        let caller = Caller(Arc::clone(call));
        if let Err(error) = self.shared.check_process() {
            caller.refuse(self.counters(), &key, error);
            return None;
        }
        let joined = self.shared.queues().join(Time::now(), terms, caller);
        match joined {
            Joined::Asking { waiter, order } => {
                self.send(Command::Order(order));
                Some(Place {
                    waiter,
                    is_first: true,
                })
            }
            Joined::Behind {
                waiter,
                order,
                wake,
            } => {
                self.send_order(order, wake);
                Some(Place {
                    waiter,
                    is_first: false,
                })
            }
            Joined::Refused(caller, error) => {
                caller.refuse(self.counters(), &key, error);
                None
            }
        }
    }

    /// Gives a place in the local queue up.
    fn leave(&self, key: &Key, waiter: u64) {
        if self.is_forked() {
            return;
        }
        let (waiter, order) = self.shared.queues().leave(key, waiter);
        // Runs the caller's waker and the end of its span, which the mutex must not wait for.
        drop(waiter);
        if order.is_some() {
            thread_end::await_releases(self);
        }
        self.send_order(order, false);
    }

    /// Passes the lease on to the next one in this process, or gives it back.
    fn give_back(&self, tenure: &Arc<Tenure>, done: Option<oneshot::Sender<()>>) {
        let id = tenure.id();
        if let Some(over) = self.pass_on(tenure) {
            thread_end::await_releases(self);
            self.send(Command::Release { id, done });
            self.send_order(over.next, false);
        }
    }

    /// Gives the lease to the next one in this process, unless the tenure is over.
    fn pass_on(&self, tenure: &Arc<Tenure>) -> Option<Over> {
        loop {
            let (key, id, until) = (tenure.key(), tenure.id(), tenure.passable_until());
            let now = Time::now();
            let released = self.shared.queues().released(now, key, id, until);
            match released {
                Released::Over { next } => return Some(Over { next }),
                Released::Passed {
                    waiter,
                    token,
                    order,
                    wake: needs_wake,
                } => {
                    self.send_order(order, needs_wake);
                    if let Ok(waker) = self.deliver(tenure, &waiter, token) {
                        self.counters().passed_on.add_one();
                        // This may run in a destructor, where a panic of the next one's waker would
                        // abort the process.
                        shielded(|| wake(waker));
                        return None;
                    }
                }
            }
        }
    }

    /// Offers a waiter its lease. Returns the waker to be called, or an error if the waiter is gone.
    fn deliver(
        &self,
        tenure: &Arc<Tenure>,
        waiter: &Waiter<Caller>,
        token: u64,
    ) -> Result<Option<Waker>, Gone> {
        let Caller(call) = &waiter.caller;
        shielded(|| observe::acquired(self.counters(), call.trace(), tenure.key(), token));
        let lease = Lease::new(Arc::clone(tenure), token, Arc::clone(call));
        let grant = Grant::new(lease, self.clone());
        call.grant(grant, Time::now()).map_err(|undelivered| {
            undelivered.forget();
            Gone
        })
    }

    fn send_order(&self, order: Option<Order>, wake: bool) {
        if let Some(order) = order {
            self.send(Command::Order(order));
        } else if wake {
            self.send(Command::Wake);
        }
    }

    /// With the thread gone there is nothing left to ask for or to release, and the queues are
    /// closed.
    fn send(&self, command: Command) {
        drop(self.sender.send(command));
    }

    /// Extends the lease of the holder of `token`. From here on the tenure is not passed on, so the
    /// extension cannot come to the next holder's lease.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] when the pool is gone, and what the lock service answered; `None` when this
    /// holder has the lease no more.
    pub(crate) async fn extend(
        &self,
        tenure: &Tenure,
        token: u64,
        ttl: Duration,
    ) -> Option<Result<(), Error>> {
        let (key, id) = (tenure.key(), tenure.id());
        let is_holder = self.shared.queues().extended(key, id, token);
        if !is_holder {
            return None;
        }
        Some(self.ask(|reply| Command::Extend { id, ttl, reply }).await)
    }

    pub(crate) async fn shutdown(&self, within: Duration) -> Result<(), Error> {
        self.shared.check_process()?;
        self.shared.is_closed.store(true, Ordering::Release);
        self.ask(|reply| Command::Shutdown { within, reply }).await
    }

    /// Whether it was built by another process, from which this one was forked.
    fn is_forked(&self) -> bool {
        self.shared.check_process().is_err()
    }

    /// Whether calls of this process can still be served.
    pub(crate) fn is_usable(&self) -> bool {
        let is_closed = self.shared.is_closed.load(Ordering::Acquire) || self.sender.is_closed();
        !is_closed && !self.is_forked()
    }

    fn downgrade(&self) -> WeakCommands {
        WeakCommands {
            sender: self.sender.downgrade(),
            shared: Arc::clone(&self.shared),
        }
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    async fn ask(&self, command: impl FnOnce(Reply) -> Command) -> Result<(), Error> {
        self.shared.check_process()?;
        let (reply, answer) = oneshot::channel();
        drop(self.sender.send(command(reply)));
        answer.await.unwrap_or(Err(Error::Closed))
    }
}

/// The waiter is gone, and its lease goes to another.
struct Gone;

/// A place in the local queue.
struct Place {
    waiter: u64,
    is_first: bool,
}
