//! Locks inside this process: for development, for tests, and for programs of one process.
//!
//! Pools of one name share their locks, so several pools can act as the processes of a fleet.

mod inspection;
mod server;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

pub(crate) use server::{Handoff, Server};

use super::{Attempt, Backend, Capabilities, Event, Examination, Inspector};
use crate::clock::{Clock, Time};
use crate::diagnosis::{Diagnosis, Finding, Severity, Topic};

type Shared = Mutex<Server<UnboundedSender<Event>>>;

/// One pool's connection to a [`Server`].
#[derive(Debug)]
pub(crate) struct MemoryBackend {
    server: Arc<Shared>,
    clock: Clock,
    events: UnboundedReceiver<Event>,
    inbox: UnboundedSender<Event>,
}

impl MemoryBackend {
    /// Returns a backend whose locks are its own.
    pub(crate) fn private() -> Self {
        Self::on(Arc::new(registry().new_server()))
    }

    /// Returns a backend that shares its locks with all backends of this name, while one of them
    /// exists.
    pub(crate) fn named(name: &str) -> Self {
        let mut registry = registry();
        registry
            .servers
            .retain(|_, server| server.strong_count() > 0);
        let present = registry.servers.get(name).and_then(Weak::upgrade);
        let server = present.unwrap_or_else(|| Arc::new(registry.new_server()));
        registry
            .servers
            .insert(name.to_owned(), Arc::downgrade(&server));
        Self::on(server)
    }

    /// Returns the same backend with another clock.
    #[cfg(feature = "testing")]
    pub(crate) fn by_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Returns a backend that shares its locks with this one.
    #[cfg(feature = "testing")]
    pub(crate) fn beside(&self) -> Self {
        Self::on(Arc::clone(&self.server)).by_clock(self.clock.clone())
    }

    fn on(server: Arc<Shared>) -> Self {
        let (inbox, events) = unbounded_channel();
        Self {
            server,
            clock: Clock::Machine,
            events,
            inbox,
        }
    }

    fn server(&self) -> MutexGuard<'_, Server<UnboundedSender<Event>>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for MemoryBackend {
    /// Keeps the last token: the next server of this name must not repeat it.
    fn drop(&mut self) {
        let mut registry = registry();
        let last = self.server().last_token();
        registry.last_token = registry.last_token.max(last);
    }
}

/// The servers of this process.
#[derive(Default)]
struct Registry {
    servers: HashMap<String, Weak<Shared>>,
    /// The greatest last token of all servers that were dropped.
    last_token: u64,
}

fn registry() -> MutexGuard<'static, Registry> {
    static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(Mutex::default);
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    fn new_server(&self) -> Shared {
        // From the wall clock, as on a real server, so that tokens grow over restarts.
        let micros = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_micros();
        let clock = u64::try_from(micros).unwrap_or(0);
        Mutex::new(Server::new(clock.max(self.last_token)))
    }
}

impl Backend for MemoryBackend {
    fn capabilities(&self) -> Capabilities {
        capabilities()
    }

    fn examine(&self) -> Examination {
        let limit = |topic, seen: &str| Finding::new(Severity::Limit, topic, seen);
        let found = Diagnosis::of("locks in the memory of this process")
            .with(limit(
                Topic::Deployment,
                "other processes are not excluded: for tests, and for programs of one process",
            ))
            .with(limit(
                Topic::Persistence,
                "the locks end with the process, as their holders do",
            ));
        Box::pin(std::future::ready(found))
    }

    fn inspector(&self) -> Option<Inspector> {
        Some(self.answers())
    }

    fn submit(&mut self, attempt: Attempt) {
        let now = self.clock.now();
        let reply = self
            .server()
            .execute(now, &attempt, self.inbox.clone(), |handoff| {
                deliver(now, handoff)
            });
        self.inbox
            .send(Event::Done(attempt.id, Ok(reply)))
            .expect("the receiver is in this struct");
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        self.events
            .poll_recv(cx)
            .map(|event| event.expect("a sender is in this struct"))
    }
}

/// Tells a waiter of its lease. Returns whether it is there.
fn deliver(now: Time, handoff: Handoff<UnboundedSender<Event>>) -> bool {
    let granted = Event::HandedOver {
        owner: handoff.owner,
        granted: handoff.granted,
        since: now,
        ttl: handoff.ttl,
    };
    handoff.waiter.send(granted).is_ok()
}

/// All capabilities: the protocol is tested with this backend.
pub(crate) fn capabilities() -> Capabilities {
    Capabilities::default()
        .with_queue()
        .with_token_ranges()
        .with_modes()
        .with_min_hold()
}
