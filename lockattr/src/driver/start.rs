//! The start of a pool's I/O thread.

use std::sync::mpsc;
use std::thread;

use tokio::runtime;
use tokio::sync::{mpsc as mpsc_async, oneshot};
use tracing::dispatcher;

use super::questions::Question;
use super::run::Driver;
use super::{Commands, Coordinator, thread_end, trace_context};
use crate::Error;
use crate::backend::{Backend, OwnerIds};
use crate::clock::Clock;
use crate::listener::Listeners;
use crate::protocol::Limits;

/// What a pool's I/O thread works with, besides its backend.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) limits: Limits,
    pub(crate) owners: OwnerIds,
    pub(crate) listeners: Listeners,
    pub(crate) clock: Clock,
}

/// Starts the I/O thread and waits until `connect` has made the backend on it.
///
/// # Errors
///
/// The error of `connect`, and [`Error::System`] when the thread cannot be started.
pub(crate) async fn start<B, F>(
    settings: Settings,
    connect: impl FnOnce() -> F + Send + 'static,
) -> Result<Commands, Error>
where
    B: Backend,
    F: Future<Output = Result<B, Error>>,
{
    start_on(thread::Builder::new(), settings, connect).await
}

/// Starts a pool without a thread: it runs as a task of the present runtime, and so by its clock.
///
/// # Panics
///
/// Outside of a tokio runtime.
#[cfg(feature = "testing")]
pub(crate) fn start_here<B: Backend + Send>(settings: Settings, backend: B) -> Commands {
    let (is_over, io_task) = mpsc::channel::<()>();
    let runtime = runtime::Handle::current();
    let (commands, asked) = commands_of(&backend, settings, runtime.clone(), io_task);
    let weak = commands.downgrade();
    runtime.spawn(async move {
        let _is_over = is_over;
        Driver::new(backend, asked, weak).run().await;
    });
    commands
}

/// Makes the first handle of a pool, and what its driver is asked by.
fn commands_of(
    backend: &impl Backend,
    settings: Settings,
    runtime: runtime::Handle,
    io_thread: mpsc::Receiver<()>,
) -> (Commands, mpsc_async::UnboundedReceiver<Question>) {
    let (jitter, owners) = (fastrand::Rng::new(), settings.owners.clone());
    let coordinator = Coordinator::new(settings.limits, backend.capabilities(), owners, jitter);
    let (asks, asked) = mpsc_async::unbounded_channel();
    let commands = Commands::new(coordinator, settings, runtime, asks, io_thread);
    (commands, asked)
}

async fn start_on<B, F>(
    thread: thread::Builder,
    settings: Settings,
    connect: impl FnOnce() -> F + Send + 'static,
) -> Result<Commands, Error>
where
    B: Backend,
    F: Future<Output = Result<B, Error>>,
{
    let (is_over, io_thread) = mpsc::channel::<()>();
    let (ready, connected) = oneshot::channel();
    let dispatch = trace_context::present_dispatcher();

    let body = move || {
        let _is_over = is_over;
        // Events that belong to no call are traced where the pool was built.
        let _default = dispatch.as_ref().map(dispatcher::set_default);
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return drop(ready.send(Err(Error::system("a runtime", &error)))),
        };
        match runtime.block_on(connect()) {
            Ok(backend) => {
                let (commands, asked) =
                    commands_of(&backend, settings, runtime.handle().clone(), io_thread);
                let weak = commands.downgrade();
                // If the builder no longer waits, the commands are dropped and `run` ends at once.
                drop(ready.send(Ok(commands)));
                Driver::new(backend, asked, weak).run_on(&runtime);
            }
            Err(error) => drop(ready.send(Err(error))),
        }
    };
    thread
        .name("lockattr-io".to_owned())
        .spawn(body)
        .map_err(|error| Error::system("its I/O thread", &error))?;
    let commands = connected.await.map_err(|_| Error::Closed)??;
    thread_end::await_releases(&commands);
    Ok(commands)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::backend::memory::MemoryBackend;
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
        let settings = Settings {
            limits,
            owners: OwnerIds::random().unwrap(),
            listeners: Listeners::default(),
            clock: Clock::Machine,
        };
        let too_large = thread::Builder::new().stack_size(usize::MAX / 2);
        let started = start_on(too_large, settings, || async {
            Ok(MemoryBackend::private())
        });
        let error = started.await.unwrap_err();
        assert!(matches!(error, Error::System { .. }), "{error}");
    }
}
