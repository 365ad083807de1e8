//! The pool's own I/O thread: it drives the protocol and a backend.
//!
//! Connections, timers, renewals and late releases live here, so they neither stop when a user's
//! runtime is blocked nor end with it. Callers talk to the thread by messages that every runtime
//! can wait for.

mod grant;
mod observe;
mod run;
mod stats;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedSender, WeakUnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tracing::field::Empty;
use tracing::{Span, debug_span};

pub(crate) use grant::{Acquiring, Grant};
pub use stats::PoolStats;
pub(crate) use stats::{Counters, count_unreported};

use crate::Error;
use crate::backend::Backend;
use crate::protocol::{Keeper, Terms};
use run::Driver;

/// What callers ask of the I/O thread.
#[derive(Debug)]
enum Command {
    Acquire {
        id: u64,
        terms: Terms,
        span: Span,
        reply: oneshot::Sender<Result<Grant, Error>>,
    },
    Release {
        id: u64,
        done: Option<oneshot::Sender<()>>,
    },
    Extend {
        id: u64,
        ttl: Duration,
        reply: oneshot::Sender<Result<(), Error>>,
    },
    Shutdown {
        within: Duration,
        reply: oneshot::Sender<Result<(), Error>>,
    },
}

/// The way to the I/O thread. The thread ends when the last clone is gone and nothing of the pool
/// is left on the server.
#[derive(Debug, Clone)]
pub(crate) struct Commands {
    sender: UnboundedSender<Command>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    next_id: AtomicU64,
    counters: Counters,
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
/// What `connect` reports, and [`Error::Config`] when the thread cannot be started.
pub(crate) async fn start<B, F>(
    keeper: Keeper,
    connect: impl FnOnce() -> F + Send + 'static,
) -> Result<Commands, Error>
where
    B: Backend,
    F: Future<Output = Result<B, Error>>,
{
    let (sender, inbox) = unbounded_channel();
    let shared = Arc::new(Shared::default());
    let weak = WeakCommands {
        sender: sender.downgrade(),
        shared: Arc::clone(&shared),
    };
    let (ready, connected) = oneshot::channel();

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Error::config(
                "runtime",
                format!("no runtime for the pool's I/O thread: {error}"),
            )
        })?;
    let body = move || {
        runtime.block_on(async move {
            match connect().await {
                Ok(backend) => {
                    // If nobody waits any longer, the channel is closed and `run` ends at once.
                    if ready.send(Ok(())).is_ok() {
                        Driver::new(keeper, backend, inbox, weak).run().await;
                    }
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        });
    };
    thread::Builder::new()
        .name("lockattr-io".to_owned())
        .spawn(body)
        .map_err(|error| {
            Error::config(
                "runtime",
                format!("the pool's I/O thread cannot be started: {error}"),
            )
        })?;
    connected.await.map_err(|_| Error::Closed)??;
    Ok(Commands { sender, shared })
}

impl Commands {
    /// Asks for a lease. The request is cancelled when the answer's future is dropped.
    pub(crate) fn acquire(&self, terms: Terms) -> Acquiring {
        let (key, label) = (&terms.key, terms.label);
        let span = debug_span!("lock", %key, lock = %label, fencing_token = Empty);
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        // A failed sending drops `reply`, which the answer's future reports as a closed pool.
        drop(self.sender.send(Command::Acquire {
            id,
            terms,
            span,
            reply,
        }));
        Acquiring::new(id, answer, self.clone())
    }

    /// Gives a lease back, or stops asking for one, without waiting.
    fn release(&self, id: u64, done: Option<oneshot::Sender<()>>) {
        // With the thread gone there is nothing left to release.
        drop(self.sender.send(Command::Release { id, done }));
    }

    pub(crate) async fn extend(&self, id: u64, ttl: Duration) -> Result<(), Error> {
        self.ask(|reply| Command::Extend { id, ttl, reply }).await
    }

    pub(crate) async fn shutdown(&self, within: Duration) -> Result<(), Error> {
        self.ask(|reply| Command::Shutdown { within, reply }).await
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
        let (reply, answer) = oneshot::channel();
        drop(self.sender.send(command(reply)));
        answer.await.unwrap_or(Err(Error::Closed))
    }
}
