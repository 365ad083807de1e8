//! One session: what is asked in it, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};
use zookeeper_client::{Client, CreateMode, Error, SessionId, SessionState, StateWatcher};

use crate::dialer::Dialer;
use crate::failure::{Asked, Trouble};
use crate::guarded::Guarded;
use crate::names::Line;

type Confirming = Shared<BoxFuture<'static, Asked<()>>>;

/// A session with the ensemble. Its nodes are there while it lasts.
///
/// The client library dials anew by itself. It sends no request twice: what was on its way fails, and
/// what was asked without a connection waits for the next one. `ZooKeeper` executes the requests of a
/// session in the order in which they were sent, over all of its connections (ZOOKEEPER-417): once a new
/// connection answers, nothing of an older one is executed any more.
pub(crate) struct Session {
    pub(crate) client: Client,
    dialer: Dialer,
    states: Guarded<StateWatcher>,
    /// Whether the present connection is known to belong to this session. There are servers that
    /// answer to an expired session with a new one.
    is_verified: Guarded<bool>,
    /// Counts what happened to the connection.
    connections: Guarded<u64>,
    is_over: Guarded<bool>,
    /// Whether a task follows it to its end.
    pub(crate) is_followed: Guarded<bool>,
    changed: Notify,
    /// When the last answer came.
    heard: Guarded<Instant>,
    /// The confirmation of the present flush.
    confirming: Guarded<Option<(u64, Confirming)>>,
}

/// What became of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It goes on with another connection.
    Reconnected,
    /// Its nodes are gone, or will be.
    Over,
}

impl Session {
    /// Opens a session. The server may grant another timeout.
    pub(crate) async fn open(dialer: &Dialer, timeout: Duration) -> Asked<Arc<Self>> {
        let client = dialer.dial(timeout, true).await?;
        let states = Guarded::new(client.state_watcher());
        Ok(Arc::new(Self {
            client,
            dialer: dialer.clone(),
            states,
            is_verified: Guarded::new(true),
            connections: Guarded::new(0),
            is_over: Guarded::new(false),
            is_followed: Guarded::new(false),
            changed: Notify::new(),
            heard: Guarded::new(Instant::now()),
            confirming: Guarded::default(),
        }))
    }

    pub(crate) fn id(&self) -> i64 {
        let SessionId(id) = self.client.session_id();
        id
    }

    pub(crate) fn is_over(&self) -> bool {
        self.note_states();
        self.is_over.get()
    }

    /// # Errors
    ///
    /// If leases of this ttl could outlive the session.
    pub(crate) fn suffices(&self, ttl: Duration) -> Asked<()> {
        let granted = self.client.session_timeout();
        let longest = Dialer::longest_ttl(granted);
        if ttl <= longest {
            return Ok(());
        }
        Err(Trouble::refused(format!(
            "a ttl of {ttl:?} is too long for a session of {granted:?}, which is what ZooKeeper grants or what \
             the lease began with: use a ttl of at most {longest:?} (default_ttl is that of the pool), raise \
             maxSessionTimeout in zoo.cfg, or, for an extension, set ZooKeeper::least_session_timeout"
        )))
    }

    /// Takes note of what happened to the connection. The client library tells of it before it hands
    /// out what came by a new connection.
    fn note_states(&self) {
        let mut states = self.states.lock();
        while let Some(state) = states.changed().now_or_never() {
            self.is_verified.set(false);
            self.connections.set(self.connections.get() + 1);
            self.changed.notify_one();
            if state.is_terminated() {
                self.is_over.set(true);
                return;
            }
        }
    }

    /// Waits for the answer to a request, while this connection answers at all.
    ///
    /// # Errors
    ///
    /// [`Trouble::Unknown`] also for an answer that may be meant for another session.
    pub(crate) async fn ask<T>(&self, request: impl Future<Output = Result<T, Error>>) -> Asked<T> {
        let answer = self.answer(request).await;
        self.is_sound(answer)
    }

    fn is_sound<T>(&self, answer: Asked<T>) -> Asked<T> {
        self.note_states();
        if self.is_over.get() {
            return Err(Trouble::SessionOver);
        }
        if answer.is_ok() && !self.is_verified.get() {
            return Err(Trouble::silent());
        }
        answer
    }

    /// Waits for the answer, whatever session gives it.
    async fn answer<T>(&self, request: impl Future<Output = Result<T, Error>>) -> Asked<T> {
        let mut request = std::pin::pin!(request);
        let mut silent_since = Instant::now();
        loop {
            let patience = silent_since + self.dialer.patience.response;
            if let Ok(answer) = timeout_at(patience, &mut request).await {
                self.heard.set(Instant::now());
                return answer.map_err(Trouble::from);
            }
            if self.heard.get() <= silent_since {
                return Err(Trouble::silent());
            }
            silent_since = self.heard.get();
        }
    }

    /// Lets a majority confirm that the session lives, and the server beside this one catch up. All
    /// requests of one flush share one.
    fn confirm(self: &Arc<Self>, flush: u64) -> Confirming {
        let mut present = self.confirming.lock();
        match &*present {
            Some((number, confirming)) if *number == flush => confirming.clone(),
            _ => {
                let confirming = self.confirm_now();
                *present = Some((flush, confirming.clone()));
                confirming
            }
        }
    }

    /// Deletes what is not there: a leader has that agreed upon as any other transaction. It answers to
    /// `sync` alone, also while the others have chosen another leader, which ends the session.
    pub(crate) fn confirm_now(self: &Arc<Self>) -> Confirming {
        let session = Arc::clone(self);
        // The request is sent with the first poll, which comes before that of what depends on it.
        let confirming = async move {
            let nothing = format!("{}/%none", session.dialer.ensemble.chroot);
            let deleting = session.client.delete(&nothing, None);
            let deleting = deleting.map(|answer| match answer {
                Err(Error::NoNode) => Ok(()),
                answer => answer,
            });
            session.ask(deleting).await
        };
        let mut confirming = confirming.boxed();
        let sent = (&mut confirming).now_or_never();
        let rest = async move {
            match sent {
                Some(answer) => answer,
                None => confirming.await,
            }
        };
        rest.boxed().shared()
    }

    /// Asks who has a key and who waits for it, as it is now. The answer shows that the session lived
    /// when this was called.
    pub(crate) async fn line(self: &Arc<Self>, path: &str) -> Asked<Line> {
        self.line_after(self.confirm_now(), path).await
    }

    /// As [`line`](Self::line), with one confirmation for all keys of a flush.
    pub(crate) async fn line_in(self: &Arc<Self>, flush: u64, path: &str) -> Asked<Line> {
        self.line_after(self.confirm(flush), path).await
    }

    /// As [`line`](Self::line), without certainty: a leader answers that has been replaced just now, too.
    pub(crate) async fn glance(&self, path: &str) -> Asked<Line> {
        let syncing = self.client.sync(path);
        let listing = self.client.list_children(path);
        self.ask(syncing).await?;
        self.read(listing).await
    }

    async fn line_after(&self, confirming: Confirming, path: &str) -> Asked<Line> {
        let listing = self.client.list_children(path);
        confirming.await?;
        self.read(listing).await
    }

    pub(crate) async fn read(
        &self,
        listing: impl Future<Output = Result<Vec<String>, Error>>,
    ) -> Asked<Line> {
        match self.ask(listing).await {
            Ok(names) => Line::read(&names),
            Err(Trouble::NoNode) => Ok(Line::default()),
            Err(trouble) => Err(trouble),
        }
    }

    /// Creates the nodes above the places of a key. The server removes them when they are empty.
    pub(crate) async fn make_way(&self, path: &str) -> Asked<()> {
        let made = self.containers(path).await;
        self.is_sound(made)
    }

    async fn containers(&self, path: &str) -> Asked<()> {
        let options = self.dialer.options(CreateMode::Container);
        let ends = path.match_indices('/').map(|(slash, _)| slash).skip(1);
        let ends: Vec<usize> = ends.chain([path.len()]).collect();
        // The last one first: a user who may create it need not have rights above it.
        let mut present = ends.len() - 1;
        loop {
            let created = self.client.create(&path[..ends[present]], b"", &options);
            match self.answer(created).await {
                Ok(_) | Err(Trouble::NodeExists) if present + 1 == ends.len() => return Ok(()),
                Ok(_) | Err(Trouble::NodeExists) => present += 1,
                Err(Trouble::NoNode) if present > 0 => present -= 1,
                Err(trouble) => return Err(trouble),
            }
        }
    }

    /// Waits until the session has another connection, which is verified then, or is over.
    pub(crate) async fn change(&self) -> Change {
        let mut states = self.states.lock().clone();
        loop {
            if self.is_over() {
                return Change::Over;
            }
            if !self.is_verified.get() && self.client.state() == SessionState::SyncConnected {
                match self.verify().await {
                    Ok(true) => {
                        info!("connected to ZooKeeper again, in the same session");
                        return Change::Reconnected;
                    }
                    Ok(false) => {
                        warn!("the server answers in another session, as if this one went on");
                        self.is_over.set(true);
                        return Change::Over;
                    }
                    // The connection is lost again, or another one will be.
                    Err(error) => {
                        info!(error = %error.into_error(), "a new connection to ZooKeeper is not verified");
                        tokio::time::sleep(self.dialer.patience.response / 8).await;
                        continue;
                    }
                }
            }
            tokio::select! {
                _ = states.changed() => {}
                () = self.changed.notified() => {}
            }
        }
    }

    /// Finds out whether the present connection belongs to this session.
    async fn verify(&self) -> Asked<bool> {
        self.note_states();
        let connection = self.connections.get();
        let owner = self.probe().await?;
        self.note_states();
        if self.connections.get() != connection {
            return Err(Trouble::silent());
        }
        let is_ours = owner == self.id();
        self.is_verified.set(is_ours);
        Ok(is_ours)
    }

    /// Asks in which session the present connection is, by a node of its own.
    async fn probe(&self) -> Asked<i64> {
        let base = &self.dialer.ensemble.chroot;
        let probe = format!("{base}/%probe-{:x}", self.id());
        // An earlier one may be there, whose answer was lost.
        match self.answer(self.client.delete(&probe, None)).await {
            Ok(()) | Err(Trouble::NoNode) => {}
            Err(trouble) => return Err(trouble),
        }
        let options = self.dialer.options(CreateMode::Ephemeral);
        let create = || self.answer(self.client.create(&probe, b"", &options));
        let created = match create().await {
            Err(Trouble::NoNode) => {
                self.containers(base).await?;
                create().await
            }
            created => created,
        };
        let (stat, _) = created?;
        self.answer(self.client.delete(&probe, None)).await?;
        Ok(stat.ephemeral_owner)
    }
}
