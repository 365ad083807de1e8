//! etcd as a backend: it takes attempts, and lets them, the connection and the watches go on.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lockattr::backend::{
    Attempt, AttemptId, Backend, BackendError, Capabilities, Event, Examination, Inspector, Op,
    OwnerId, Time,
};
use tokio::time::{Instant, Sleep};

use crate::attempts::{Core, Report, Task};
use crate::link::{Dialer, Link};
use crate::names::Names;
use crate::order::Order;
use crate::places::Places;
use crate::sessions::Sessions;
use crate::watches::Watches;
use crate::{doctor, inspection};

/// How many attempts are under way at most: enough for etcd to write many with one look at its disk.
const ROOM: usize = 128;
/// A lease that has ended and could not be deleted is tried again after this.
const LAPSE_AGAIN: Duration = Duration::from_secs(1);
/// A claim should last so many round trips: a handoff is a look, a keep-alive and a binding, each on the disks of a
/// majority, where the round trip was measured by a read.
const ROUND_TRIPS_PER_WINDOW: u32 = 20;
/// The tokio clock stops in suspend, that of leases does not.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// What a release is: of an attempt, or of a lease that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Giving {
    Attempt(AttemptId),
    Lapse(OwnerId),
}

struct UnderWay {
    owner: OwnerId,
    key: Arc<str>,
    is_given_up: Rc<Cell<bool>>,
}

pub(crate) struct EtcdBackend {
    core: Rc<Core>,
    tasks: FuturesUnordered<Task>,
    order: Order<Giving>,
    under_way: HashMap<AttemptId, UnderWay>,
    round_trip: Duration,
    sleep: Pin<Box<Sleep>>,
}

impl EtcdBackend {
    pub(crate) async fn connect(
        dialer: Dialer,
        names: Names,
        patience: Duration,
    ) -> Result<Self, BackendError> {
        let link = Rc::new(Link::connect(dialer, patience).await?);
        let round_trip = link.present().map(|it| it.round_trip).unwrap_or_default();
        let core = Core {
            names,
            sessions: Sessions::new(Rc::clone(&link)),
            link,
            places: Places::default(),
            watches: Watches::default(),
            events: RefCell::default(),
            is_reconnected: Cell::default(),
            tasks: RefCell::default(),
        };
        Ok(Self {
            core: Rc::new(core),
            tasks: FuturesUnordered::new(),
            order: Order::new(),
            under_way: HashMap::new(),
            round_trip,
            sleep: Box::pin(tokio::time::sleep(LONGEST_SLEEP)),
        })
    }

    /// Gives up the leases that have ended, and keeps alive what waiters are bound to.
    fn look_at_places(&mut self) {
        let seen = self.core.places.look(Time::now(), LAPSE_AGAIN);
        for class in seen.waited_by {
            let keeping = Rc::clone(&self.core).keep_waiters(class);
            self.tasks.push(Box::pin(keeping));
        }
        for (owner, place) in seen.ended {
            let key = Arc::clone(&place.key);
            self.core.places.begin(&owner);
            self.order.begin(&key, Giving::Lapse(owner.clone()));
            let core = Rc::clone(&self.core);
            self.tasks
                .push(Box::pin(async move { core.lapse(owner, place).await }));
        }
    }

    fn on_report(&mut self, report: Report) {
        match report {
            Report::Done(id, outcome) => {
                if let Some(attempt) = self.under_way.remove(&id) {
                    self.core.places.end(&attempt.owner);
                    self.order.end(&attempt.key, &Giving::Attempt(id));
                }
                self.core.tell(Event::Done(id, outcome));
            }
            Report::Lapsed { owner, key } => {
                self.core.places.end(&owner);
                self.order.end(&key, &Giving::Lapse(owner));
            }
            Report::Told => {}
        }
    }

    /// Begins what has become necessary.
    fn begin_tasks(&mut self) {
        self.core.link.look_at_silence();
        if self.core.link.needs_dial() {
            let dialling = Rc::clone(&self.core.link).redial();
            let core = Rc::clone(&self.core);
            self.tasks.push(Box::pin(async move {
                if dialling.await {
                    core.tell(Event::Reconnected);
                }
                Report::Told
            }));
        }
        if let Some(connection) = self.core.link.present()
            && let Some(orders) = self.core.watches.take_unopened()
        {
            let watching = Rc::clone(&self.core).watch(connection, orders);
            self.tasks.push(Box::pin(watching));
        }
        self.look_at_places();
        self.tasks.extend(self.core.tasks.borrow_mut().drain(..));
    }

    /// Sees that this is polled again in time.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        let silence = self.core.link.alarm();
        let end = self.core.places.alarm().map(|at| {
            let pause = at.since(Time::now()).min(LONGEST_SLEEP);
            now + pause
        });
        let Some(next) = [silence, end].into_iter().flatten().min() else {
            return Poll::Pending;
        };
        self.sleep.as_mut().reset(next);
        self.sleep.as_mut().poll(cx)
    }
}

impl Backend for EtcdBackend {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
            .with_queue()
            .with_token_ranges()
            .with_least_claim_window(self.round_trip.saturating_mul(ROUND_TRIPS_PER_WINDOW))
    }

    fn room(&self, _: usize, waiting: usize) -> usize {
        waiting.min(ROOM.saturating_sub(self.under_way.len()))
    }

    fn submit(&mut self, attempt: Attempt) {
        let (id, key): (_, Arc<str>) = (attempt.id(), attempt.key().into());
        // First, so that a lease that is just being renewed is not given up.
        self.core.places.begin(attempt.owner());
        self.look_at_places();
        let mut turn = None;
        match attempt.op() {
            Op::Release { .. } => self.order.begin(&key, Giving::Attempt(id)),
            Op::Acquire { .. } => turn = self.order.turn(&key),
            _ => {}
        }
        let is_given_up = Rc::new(Cell::new(false));
        let under_way = UnderWay {
            owner: attempt.owner().clone(),
            key,
            is_given_up: Rc::clone(&is_given_up),
        };
        self.under_way.insert(id, under_way);
        let core = Rc::clone(&self.core);
        self.tasks.push(Box::pin(async move {
            if let Some(turn) = turn {
                turn.await;
            }
            Report::Done(id, core.execute(attempt, is_given_up).await)
        }));
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            if let Some(event) = self.core.events.borrow_mut().pop_front() {
                return Poll::Ready(event);
            }
            self.begin_tasks();
            if let Poll::Ready(Some(report)) = self.tasks.poll_next_unpin(cx) {
                self.on_report(report);
                continue;
            }
            if self.core.is_reconnected.take() {
                return Poll::Ready(Event::Reconnected);
            }
            let has_more = !self.core.tasks.borrow().is_empty()
                || !self.core.events.borrow().is_empty()
                || self.core.link.needs_dial();
            if has_more || self.poll_time(cx).is_ready() {
                continue;
            }
            return Poll::Pending;
        }
    }

    fn examine(&self) -> Examination {
        doctor::examine(&self.core)
    }

    fn inspector(&self) -> Option<Inspector> {
        Some(inspection::inspector(&self.core))
    }

    fn overdue(&mut self, id: AttemptId) {
        if let Some(attempt) = self.under_way.get(&id) {
            attempt.is_given_up.set(true);
            self.order.end(&attempt.key, &Giving::Attempt(id));
        }
    }
}
