//! The backend: attempts become tasks, and tasks become requests.

mod acquiring;
mod attending;
mod core;
mod holding;
mod owned;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use lockattr::backend::{
    Attempt, Backend, BackendError, BackendErrorKind, Capabilities, Event, Examination, Failure,
    Inspector, Op, Outcome,
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use self::core::Core;
use crate::dialer::Dialer;
use crate::failure::Trouble;
use crate::names::node_of;
use crate::{examination, inspection};

/// More attempts wait in the pool, where a call can still give up: an ensemble that has more to do than it
/// can would be busy with calls whose answers are not wanted any more.
const MOST_IN_FLIGHT: usize = 64;

/// A pool's sessions with an ensemble.
pub(crate) struct ZooKeeperBackend {
    core: Arc<Core>,
    events: UnboundedReceiver<Event>,
    taken: Vec<Attempt>,
    in_flight: usize,
    round_trip: Duration,
}

impl ZooKeeperBackend {
    /// # Errors
    ///
    /// If there is no session that lasts for leases of the default ttl, or no right to create nodes.
    pub(crate) async fn connect(dialer: Dialer) -> Result<Self, BackendError> {
        let (inbox, events) = unbounded_channel();
        let core = Arc::new(Core::new(dialer, inbox));
        let round_trip = core.begin().await;
        let round_trip = round_trip.map_err(Trouble::into_error)?;
        Ok(Self {
            round_trip,
            core,
            events,
            taken: Vec::new(),
            in_flight: 0,
        })
    }

    fn start(&mut self, attempt: Attempt) {
        let core = Arc::clone(&self.core);
        let path = format!("{}/{}", core.dialer.ensemble.chroot, node_of(attempt.key()));
        let (id, owner, flush) = (attempt.id(), attempt.owner().clone(), core.flushes.get());
        let teller = Arc::clone(&self.core);
        let outcome: Pin<Box<dyn Future<Output = Outcome> + Send>> = match *attempt.op() {
            Op::Acquire { ttl, if_held } => {
                let gates = core.releases(&path);
                Box::pin(core.acquire(attempt, path, (ttl, if_held), gates))
            }
            Op::Renew { ttl } => Box::pin(core.renew(owner, ttl, flush)),
            Op::Reserve { tokens } => Box::pin(core.reserve(owner, tokens, flush)),
            Op::Release {
                leave_queue,
                tombstone,
                keep: None,
            } => {
                if let Some(life) = tombstone {
                    core.bury(&owner, life);
                }
                let announced = core.announce_release(&path);
                Box::pin(core.release(owner, leave_queue, announced))
            }
            _ => Box::pin(std::future::ready(Err(Failure::not_executed(
                BackendError::new(
                    BackendErrorKind::Refused,
                    "locks on ZooKeeper cannot do that",
                ),
            )
            .lasting()))),
        };
        self.in_flight += 1;
        self.core.spawn(async move {
            let outcome = outcome.await;
            teller.tell(Event::Done(id, outcome));
        });
    }
}

impl Backend for ZooKeeperBackend {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
            .with_queue()
            .with_token_ranges()
            .with_modes()
            .without_longer_renewals()
            .with_round_trip(self.round_trip)
    }

    fn room(&self, _: usize, waiting: usize) -> usize {
        let busy = self.in_flight.saturating_sub(self.core.dialing.get());
        waiting.min(MOST_IN_FLIGHT.saturating_sub(busy + self.taken.len()))
    }

    fn submit(&mut self, attempt: Attempt) {
        self.taken.push(attempt);
    }

    fn flush(&mut self) {
        self.core.flushes.set(self.core.flushes.get() + 1);
        for attempt in std::mem::take(&mut self.taken) {
            self.start(attempt);
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let event = self.events.poll_recv(cx);
        event.map(|event| {
            let event = event.expect("the core has a sender");
            if let Event::Done(..) = event {
                self.in_flight -= 1;
            }
            event
        })
    }

    fn examine(&self) -> Examination {
        Box::pin(examination::examine(self.core.dialer.clone()))
    }

    fn inspector(&self) -> Option<Inspector> {
        Some(inspection::inspector(self.core.dialer.clone()))
    }
}

impl Drop for ZooKeeperBackend {
    /// Leaves the sessions to their end: the leases last as long as their holders may believe.
    fn drop(&mut self) {
        self.core.end_tasks();
    }
}
