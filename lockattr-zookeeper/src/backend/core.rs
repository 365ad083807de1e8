//! What all attempts share: sessions, owners, tombstones, and the events to be told.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use lockattr::backend::{Event, OwnerId, Time};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinSet;
use tracing::warn;

use super::MOST_IN_FLIGHT;
use super::owned::{Node, Owned, Phase};
use crate::dialer::Dialer;
use crate::failure::Asked;
use crate::guarded::Guarded;
use crate::session::{Change, Session};

/// So long an owner that lost its key with its session gets nothing any more.
const GRAVE: Duration = Duration::from_secs(600);
/// How many tombstones there are before those that have passed are removed.
const TOMBSTONES: usize = 1024;

/// Opens when a release has ended.
pub(crate) type Gate = Shared<oneshot::Receiver<()>>;

/// A session that is opened, or was.
type Opening = Shared<BoxFuture<'static, Asked<Arc<Session>>>>;

pub(crate) struct Core {
    pub(crate) dialer: Dialer,
    /// The sessions by their timeouts.
    sessions: Guarded<BTreeMap<Duration, Opening>>,
    /// How many attempts wait for a session. They have sent nothing.
    pub(crate) dialing: Guarded<usize>,
    /// Attempts that waited for a session do not all begin at once: renewals and releases have room too.
    beginners: Arc<Semaphore>,
    owned: Guarded<HashMap<OwnerId, Arc<Owned>>>,
    tombstones: Guarded<HashMap<OwnerId, Time>>,
    /// The releases that are under way, by the nodes of their keys.
    releases: Guarded<HashMap<String, Vec<Gate>>>,
    events: UnboundedSender<Event>,
    tasks: Guarded<JoinSet<()>>,
    pub(crate) flushes: Guarded<u64>,
}

impl Core {
    pub(crate) fn new(dialer: Dialer, events: UnboundedSender<Event>) -> Self {
        Self {
            dialer,
            sessions: Guarded::default(),
            dialing: Guarded::new(0),
            beginners: Arc::new(Semaphore::new(MOST_IN_FLIGHT / 2)),
            owned: Guarded::default(),
            tombstones: Guarded::default(),
            releases: Guarded::default(),
            events,
            tasks: Guarded::default(),
            flushes: Guarded::new(0),
        }
    }

    pub(crate) fn tell(&self, event: Event) {
        // No task listens once the pool has ended.
        drop(self.events.send(event));
    }

    /// Runs a task, at most until [`end_tasks`](Self::end_tasks). It goes on also while no attempt asks for
    /// events: leases end then too.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    pub(crate) fn end_tasks(&self) {
        self.tasks.lock().abort_all();
    }

    /// Opens the first session, for leases of the pool's default ttl. Returns how long the ensemble may take
    /// for a transaction.
    pub(crate) async fn begin(self: &Arc<Self>) -> Asked<Duration> {
        let (session, _) = self.session(self.dialer.patience.default_ttl).await?;
        let chroot = &self.dialer.ensemble.chroot;
        // A user of the chroot alone may have no right to create it.
        let there = session.ask(session.client.check_stat(chroot)).await?;
        if there.is_none() {
            session.make_way(chroot).await?;
        }
        let asked_at = Time::now();
        session.confirm_now().await?;
        // Others may take twice as long.
        Ok(Time::now().since(asked_at) * 2)
    }

    /// Returns the session for leases of this ttl, and opens it if there is none. An attempt that had to wait
    /// keeps the permit until it has ended.
    pub(crate) async fn session(
        self: &Arc<Self>,
        ttl: Duration,
    ) -> Asked<(Arc<Session>, Option<OwnedSemaphorePermit>)> {
        let opening = self.opening(self.dialer.class(ttl));
        let (session, room) = if let Some(opened) = opening.peek() {
            (opened.clone()?, None)
        } else {
            let _waits = Dialing::begin(self);
            let session = opening.await?;
            let room = Arc::clone(&self.beginners).acquire_owned().await;
            (session, room.ok())
        };
        if !session.is_followed.replace(true) {
            let (core, followed) = (Arc::clone(self), Arc::clone(&session));
            self.spawn(async move { core.watch(followed).await });
        }
        session.suffices(ttl)?;
        Ok((session, room))
    }

    /// All attempts that wait for a session share what becomes of it.
    fn opening(&self, timeout: Duration) -> Opening {
        let mut sessions = self.sessions.lock();
        let is_usable = |opened: &Asked<Arc<Session>>| matches!(opened, Ok(it) if !it.is_over());
        if let Some(opening) = sessions.get(&timeout)
            && opening.peek().is_none_or(is_usable)
        {
            return opening.clone();
        }
        let dialer = self.dialer.clone();
        let opening = async move { Session::open(&dialer, timeout).await };
        let opening = opening.boxed().shared();
        sessions.insert(timeout, opening.clone());
        opening
    }

    /// Follows a session to its end.
    async fn watch(&self, session: Arc<Session>) {
        while session.change().await == Change::Reconnected {
            self.tell(Event::Reconnected);
        }
        warn!("a session with ZooKeeper is over, and its locks with it");
        let lost: Vec<_> = {
            let owned = self.owned.lock();
            let of_session = owned
                .values()
                .filter(|owned| Arc::ptr_eq(&owned.session, &session));
            of_session.cloned().collect()
        };
        for owned in lost {
            self.end(&owned);
        }
        // Waiters have lost their places.
        self.tell(Event::Reconnected);
    }

    pub(crate) fn owned(&self, owner: &OwnerId) -> Option<Arc<Owned>> {
        let owned = self.owned.lock().get(owner).cloned()?;
        if owned.session.is_over() {
            self.end(&owned);
            return None;
        }
        Some(owned)
    }

    /// Returns those that wait for a key in this session.
    pub(crate) fn waiting(&self, path: &str, session: &Arc<Session>) -> Vec<Arc<Owned>> {
        let all = self.owned.lock();
        let waiting = all.values().filter(|owned| {
            owned.phase.get() == Phase::Waiting
                && owned.path == path
                && Arc::ptr_eq(&owned.session, session)
        });
        waiting.cloned().collect()
    }

    pub(crate) fn keep(&self, owned: &Arc<Owned>) {
        let owner = owned.owner.clone();
        self.owned.lock().insert(owner, Arc::clone(owned));
    }

    /// Forgets an owner of which nothing is on the server, or whose session is over. One that had the key
    /// never has it again: what was on its way then may still be executed.
    pub(crate) fn end(&self, owned: &Arc<Owned>) {
        let had_node = *owned.node.lock() != Node::Absent;
        if owned.session.is_over() && (owned.has_key() || had_node && owned.grant.lock().is_some())
        {
            self.bury(&owned.owner, GRAVE);
        }
        owned.enter(Phase::Over);
        let mut all = self.owned.lock();
        if all
            .get(&owned.owner)
            .is_some_and(|present| Arc::ptr_eq(present, owned))
        {
            all.remove(&owned.owner);
        }
    }

    /// Refuses this owner's acquires from now on.
    pub(crate) fn bury(&self, owner: &OwnerId, life: Duration) {
        let now = Time::now();
        let mut tombstones = self.tombstones.lock();
        if tombstones.len() >= TOMBSTONES && tombstones.len().is_power_of_two() {
            tombstones.retain(|_, until| *until > now);
        }
        let until = tombstones.entry(owner.clone()).or_insert(now);
        *until = (*until).max(now + life);
    }

    pub(crate) fn is_buried(&self, owner: &OwnerId) -> bool {
        let tombstones = self.tombstones.lock();
        tombstones
            .get(owner)
            .is_some_and(|until| *until > Time::now())
    }

    /// What an acquire of this key has to wait for.
    pub(crate) fn releases(&self, path: &str) -> Vec<Gate> {
        let releases = self.releases.lock();
        releases.get(path).cloned().unwrap_or_default()
    }

    /// Lets later acquires of the key wait until what is returned is dropped.
    pub(crate) fn announce_release(self: &Arc<Self>, path: &str) -> Announced {
        let (done, gate) = oneshot::channel();
        let gate = gate.shared();
        let mut releases = self.releases.lock();
        let of_key = releases.entry(path.to_owned()).or_default();
        of_key.push(gate.clone());
        Announced {
            core: Arc::clone(self),
            path: path.to_owned(),
            gate,
            _done: done,
        }
    }
}

/// An attempt that waits for a session. Others get its room.
struct Dialing(Arc<Core>);

impl Dialing {
    fn begin(core: &Arc<Core>) -> Self {
        core.dialing.set(core.dialing.get() + 1);
        core.tell(Event::Room);
        Self(Arc::clone(core))
    }
}

impl Drop for Dialing {
    fn drop(&mut self) {
        self.0.dialing.set(self.0.dialing.get() - 1);
    }
}

/// A release that is under way.
pub(crate) struct Announced {
    core: Arc<Core>,
    path: String,
    gate: Gate,
    _done: oneshot::Sender<()>,
}

impl Drop for Announced {
    fn drop(&mut self) {
        let mut releases = self.core.releases.lock();
        if let Some(of_key) = releases.get_mut(&self.path) {
            of_key.retain(|gate| !gate.ptr_eq(&self.gate));
            if of_key.is_empty() {
                releases.remove(&self.path);
            }
        }
    }
}
