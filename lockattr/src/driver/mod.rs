//! The pool's own I/O thread: it drives the protocol and a backend.
//!
//! Connections, timers, renewals and late releases live here, so they neither stop when a user's
//! runtime is blocked nor end with it. Callers talk to the thread by messages that every runtime
//! can wait for.

mod grant;
mod observe;
mod recovery;
mod run;
mod stats;
mod thread_end;
mod trace_context;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;
use std::{process, thread};

use tokio::sync::mpsc::{UnboundedSender, WeakUnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tracing::field::Empty;
use tracing::{debug_span, dispatcher};

pub(crate) use grant::{Acquiring, Grant};
pub use stats::PoolStats;
pub(crate) use stats::{Counters, count_unreported};
pub(crate) use trace_context::CallTrace;

use crate::Error;
use crate::backend::Backend;
use crate::clock::Time;
use crate::key::Key;
use crate::lease::{Lease, Tenure};
use crate::protocol::{Joined, Keeper, Limits, LocalQueues, Order, Released, Terms, Waiter};
use run::Driver;

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
        reply: oneshot::Sender<Result<(), Error>>,
    },
    /// Somebody's wait ends before the thread would look.
    Wake,
    Shutdown {
        within: Duration,
        reply: oneshot::Sender<Result<(), Error>>,
    },
    /// A thread that ends waits until no release is under way; then its sender is dropped.
    AwaitReleases {
        waits: mpsc::Sender<()>,
    },
}

/// Whom to tell what becomes of an acquisition.
#[derive(Debug)]
struct Caller {
    trace: CallTrace,
    reply: oneshot::Sender<Result<Grant, Error>>,
}

/// A tenure goes back to the lock service; the next caller asks for itself.
struct Over {
    next: Option<Order>,
}

impl Caller {
    fn refuse(self, counters: &Counters, key: &Key, error: Error) {
        observe::refused(counters, &self.trace, key, &error);
        // Whoever does not wait any longer need not be told.
        drop(self.reply.send(Err(error)));
    }
}

/// The way to the I/O thread. The thread ends when the last clone is gone and nothing of the pool
/// is left on the server.
#[derive(Debug, Clone)]
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

/// The thread's own way to [`Commands`], which does not keep the thread alive.
struct WeakCommands {
    sender: WeakUnboundedSender<Command>,
    shared: Arc<Shared>,
}

impl WeakCommands {
    fn upgrade(&self) -> Option<Commands> {
        let sender = self.sender.upgrade()?;
        Some(Commands {
            sender,
            shared: Arc::clone(&self.shared),
        })
    }
}

/// Starts the I/O thread and waits until `connect` has made the backend on it.
///
/// # Errors
///
/// What `connect` reports, and [`Error::System`] when the thread cannot be started.
pub(crate) async fn start<B, F>(
    limits: Limits,
    keeper: Keeper,
    connect: impl FnOnce() -> F + Send + 'static,
) -> Result<Commands, Error>
where
    B: Backend,
    F: Future<Output = Result<B, Error>>,
{
    start_on(thread::Builder::new(), limits, keeper, connect).await
}

async fn start_on<B, F>(
    thread: thread::Builder,
    limits: Limits,
    keeper: Keeper,
    connect: impl FnOnce() -> F + Send + 'static,
) -> Result<Commands, Error>
where
    B: Backend,
    F: Future<Output = Result<B, Error>>,
{
    let (sender, inbox) = unbounded_channel();
    let (is_over, io_thread) = mpsc::channel::<()>();
    let shared = Arc::new(Shared {
        queues: Mutex::new(LocalQueues::new(limits)),
        counters: Counters::default(),
        response_timeout: limits.response_timeout,
        io_thread: Mutex::new(io_thread),
        process: process::id(),
        is_closed: AtomicBool::new(false),
    });
    let commands = Commands { sender, shared };
    let weak = commands.downgrade();
    let (ready, connected) = oneshot::channel();
    let dispatch = trace_context::present_dispatcher();

    let body = move || {
        let _is_over = is_over;
        // What happens on behalf of no call is traced where the pool was built.
        let _default = dispatch.as_ref().map(dispatcher::set_default);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return drop(ready.send(Err(Error::system("a runtime", &error)))),
        };
        match runtime.block_on(connect()) {
            Ok(backend) => {
                // If nobody waits any longer, the channel is closed and `run` ends at once.
                if ready.send(Ok(())).is_ok() {
                    Driver::new(keeper, backend, inbox, weak).run_on(&runtime);
                }
            }
            Err(error) => drop(ready.send(Err(error))),
        }
    };
    thread
        .name("lockattr-io".to_owned())
        .spawn(body)
        .map_err(|error| Error::system("its I/O thread", &error))?;
    connected.await.map_err(|_| Error::Closed)??;
    thread_end::await_releases(&commands);
    Ok(commands)
}

impl Shared {
    fn queues(&self) -> MutexGuard<'_, LocalQueues<Caller>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
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
        let (key, label) = (terms.key.clone(), terms.label);
        let (reply, answer) = oneshot::channel();
        if let Err(error) = self.shared.check_process() {
            // Its receiver is in the next line.
            let _sent = reply.send(Err(error));
            return Acquiring::refused(answer);
        }
        let span = debug_span!("lock", %key, lock = %label, fencing_token = Empty);
        let trace = CallTrace::new(span);
        let caller = Caller {
            trace: trace.clone(),
            reply,
        };
        let joined = self.shared.queues().join(Time::now(), terms, caller);
        match joined {
            Joined::Asking { waiter, order } => {
                self.send(Command::Order(order));
                Acquiring::new(answer, key, waiter, self.clone())
            }
            Joined::Behind {
                waiter,
                order,
                wake,
            } => {
                if let Some(order) = order {
                    self.send(Command::Order(order));
                } else if wake {
                    self.send(Command::Wake);
                }
                // Made first, so that a subscriber that panics leaves no place behind.
                let acquiring = Acquiring::new(answer, key.clone(), waiter, self.clone());
                observe::waiting(self.counters(), &trace, &key, None);
                acquiring
            }
            Joined::Refused(caller, error) => {
                caller.refuse(self.counters(), &key, error);
                Acquiring::refused(answer)
            }
        }
    }

    /// Gives a place in the local queue up.
    fn leave(&self, key: &Key, waiter: u64) {
        if self.is_forked() {
            return;
        }
        let order = self.shared.queues().leave(key, waiter);
        if let Some(order) = order {
            thread_end::await_releases(self);
            self.send(Command::Order(order));
        }
    }

    /// Passes the lease on to the next one in this process, or gives it back.
    fn give_back(&self, tenure: &Arc<Tenure>, done: Option<oneshot::Sender<()>>) {
        let id = tenure.id();
        if let Some(over) = self.pass_on(tenure) {
            thread_end::await_releases(self);
            self.send(Command::Release { id, done });
            if let Some(order) = over.next {
                self.send(Command::Order(order));
            }
        }
    }

    /// Gives the lease to the next one in this process, unless the tenure is over.
    fn pass_on(&self, tenure: &Arc<Tenure>) -> Option<Over> {
        loop {
            let (key, id) = (tenure.key(), tenure.id());
            let released =
                self.shared
                    .queues()
                    .released(Time::now(), key, id, tenure.passable_until());
            match released {
                Released::Over { next } => return Some(Over { next }),
                Released::Passed {
                    waiter,
                    token,
                    order,
                } => {
                    if let Some(order) = order {
                        self.send(Command::Order(order));
                    }
                    if self.deliver(tenure, waiter, token) {
                        self.counters().passed_on.add_one();
                        return None;
                    }
                }
            }
        }
    }

    /// Tells a waiter of its lease; false if it is gone.
    fn deliver(&self, tenure: &Arc<Tenure>, waiter: Waiter<Caller>, token: u64) -> bool {
        let Caller { trace, reply } = waiter.caller;
        // Made first: if a subscriber panics, it is dropped and passes itself on.
        let grant = Grant::new(Lease::new(Arc::clone(tenure), token, trace.clone()));
        observe::acquired(self.counters(), &trace, tenure.key(), token);
        match reply.send(Ok(grant)) {
            Err(Ok(undelivered)) => {
                undelivered.forget();
                false
            }
            _ => true,
        }
    }

    /// With the thread gone there is nothing left to ask for or to release, and the queues are
    /// closed.
    fn send(&self, command: Command) {
        drop(self.sender.send(command));
    }

    pub(crate) async fn extend(&self, id: u64, ttl: Duration) -> Result<(), Error> {
        self.ask(|reply| Command::Extend { id, ttl, reply }).await
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

    /// Whether both lead to the same pool.
    pub(crate) fn same_pool(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    async fn ask(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<(), Error>>) -> Command,
    ) -> Result<(), Error> {
        self.shared.check_process()?;
        let (reply, answer) = oneshot::channel();
        drop(self.sender.send(command(reply)));
        answer.await.unwrap_or(Err(Error::Closed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::memory::MemoryBackend;
    use crate::owner::OwnerIds;
    use crate::protocol::Batch;

    #[tokio::test]
    async fn a_thread_that_cannot_be_started_is_an_error() {
        let limits = Limits {
            in_flight: 1,
            response_timeout: Duration::from_secs(1),
            claim_window: Duration::from_secs(1),
            batch: Batch {
                size: 1,
                time: Duration::ZERO,
            },
        };
        let keeper = Keeper::new(
            limits,
            OwnerIds::random().unwrap(),
            fastrand::Rng::with_seed(1),
        );
        let too_large = thread::Builder::new().stack_size(usize::MAX / 2);
        let started = start_on(too_large, limits, keeper, || async {
            Ok(MemoryBackend::private())
        });
        let error = started.await.unwrap_err();
        assert!(matches!(error, Error::System { .. }), "{error}");
    }
}
