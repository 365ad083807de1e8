//! Acquires: a node at the end of the line, and a look at who is before it.

use std::sync::Arc;
use std::time::Duration;

use lockattr::backend::{Attempt, Granted, IfHeld, Outcome, Reply};
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;
use tracing::warn;
use zookeeper_client::CreateMode;

use super::core::{Core, Gate};
use super::owned::{Blocker, Grant, Node, Owned, Phase};
use crate::failure::{Asked, Trouble};
use crate::guarded::Guarded;
use crate::names::{Line, Standing, first_token};
use crate::session::Session;

/// How often the node of a key may vanish between its creation and that of a place in it.
const TRIES: u32 = 8;

impl Core {
    /// An acquire that was submitted after the releases behind these gates.
    pub(super) async fn acquire(
        self: Arc<Self>,
        attempt: Attempt,
        path: String,
        (ttl, if_held): (Duration, IfHeld),
        gates: Vec<Gate>,
    ) -> Outcome {
        for gate in gates {
            // Its sender is dropped with the release.
            drop(gate.await);
        }
        if self.is_buried(attempt.owner()) {
            return Ok(Reply::Tombstoned);
        }
        let (owned, _room) = if let Some(owned) = self.owned(attempt.owner()) {
            (owned, None)
        } else {
            let longest = ttl.max(attempt.claim().ttl);
            let opened = self.session(longest).await;
            let (session, room) = opened.map_err(|trouble| trouble.into_failure(false))?;
            // Another attempt of this owner may have come first.
            let owned = self.owned(attempt.owner());
            let owned = owned.unwrap_or_else(|| self.newcomer(&attempt, path, session));
            (owned, room)
        };
        let _turn = owned.turn.lock().await;
        let asked = match owned.session.suffices(ttl) {
            _ if self.is_buried(&owned.owner) => Ok(Reply::Tombstoned),
            Ok(()) if owned.is_over() => Err(Trouble::SessionOver),
            Ok(()) => self.take(&owned, &attempt, ttl, if_held).await,
            Err(trouble) => Err(trouble),
        };
        let outcome = asked.map_err(|trouble| {
            let may_be_there = *owned.node.lock() != Node::Absent;
            if may_be_there && owned.phase.get() == Phase::Asking {
                // If no attempt asks again, what is there ends as the lease would.
                owned.prolong(Instant::now() + ttl);
            }
            trouble.into_failure(may_be_there)
        });
        if *owned.node.lock() == Node::Absent {
            self.end(&owned);
        }
        outcome
    }

    fn newcomer(
        self: &Arc<Self>,
        attempt: &Attempt,
        path: String,
        session: Arc<Session>,
    ) -> Arc<Owned> {
        let owned = Arc::new(Owned {
            owner: attempt.owner().clone(),
            path,
            mode: attempt.mode(),
            claim: attempt.claim(),
            session,
            turn: Mutex::new(()),
            node: Guarded::new(Node::Absent),
            phase: Guarded::new(Phase::Asking),
            grant: Guarded::default(),
            blocked_by: Guarded::default(),
            changed: Notify::new(),
            is_attended: Guarded::new(false),
        });
        self.keep(&owned);
        owned
    }

    async fn take(
        self: &Arc<Self>,
        owned: &Arc<Owned>,
        attempt: &Attempt,
        ttl: Duration,
        if_held: IfHeld,
    ) -> Asked<Reply> {
        let is_new = *owned.node.lock() == Node::Absent;
        if is_new && if_held == IfHeld::Refuse {
            // Nothing that others would see, if there is no hope.
            let line = owned.session.glance(&owned.path).await?;
            match line.standing_of_newcomer(owned.mode) {
                Standing::Holds => {}
                Standing::OtherMode(mode) => return Ok(Reply::OtherMode(mode)),
                _ => return Ok(held()),
            }
        }
        let data = format!("1 {}", attempt.who());
        let line = self.line_up(owned, &data).await?;
        let Node::Present(name, czxid) = owned.node.lock().clone() else {
            return Err(Trouble::malformed("a node was created, and is not there"));
        };
        match line.standing(&name) {
            Standing::Holds => {
                Self::grant(owned, czxid, ttl, line.is_contended()).map(Reply::Granted)
            }
            Standing::Absent if owned.has_key() => {
                // Taken away by force, or with the session.
                *owned.node.lock() = Node::Absent;
                Ok(Reply::Tombstoned)
            }
            Standing::Absent => {
                *owned.node.lock() = Node::Absent;
                Err(Trouble::unavailable(
                    "the place in the queue was removed by another client",
                ))
            }
            Standing::OtherMode(mode) => {
                self.remove(owned).await?;
                Ok(Reply::OtherMode(mode))
            }
            Standing::Waits(_) if if_held == IfHeld::Refuse => {
                self.remove(owned).await?;
                Ok(held())
            }
            Standing::Waits(on) => {
                if owned.phase.get() != Phase::Waiting {
                    let blocker = on.map_or(Blocker::Line, Blocker::Node);
                    *owned.blocked_by.lock() = Some(blocker);
                    owned.enter(Phase::Waiting);
                }
                Ok(held())
            }
        }
    }

    /// Makes sure that the owner has one node, and returns the line that it is in.
    async fn line_up(self: &Arc<Self>, owned: &Arc<Owned>, data: &str) -> Asked<Line> {
        let session = &owned.session;
        for _ in 0..TRIES {
            let node = owned.node.lock().clone();
            match node {
                Node::Present(name, _) => {
                    if owned.phase.get() == Phase::Waiting {
                        // It need not be certain: the watch tells of the turn.
                        let line = session.glance(&owned.path).await?;
                        if matches!(line.standing(&name), Standing::Waits(_)) {
                            return Ok(line);
                        }
                    }
                    return session.line(&owned.path).await;
                }
                Node::Maybe => {
                    if let Some(line) = self.find(owned).await? {
                        return Ok(line);
                    }
                }
                Node::Absent => {}
            }
            if self.is_buried(&owned.owner) {
                // It would be removed at once.
                return Err(Trouble::unavailable("its owner has given up"));
            }
            *owned.node.lock() = Node::Maybe;
            self.attend(owned);
            let options = self.dialer.options(CreateMode::EphemeralSequential);
            let path = owned.path_of(&owned.prefix());
            let created = session.client.create(&path, data.as_bytes(), &options);
            let listing = session.client.list_children(&owned.path);
            match session.ask(created).await {
                Ok((stat, _)) if stat.ephemeral_owner != session.id() => {
                    return Err(Trouble::malformed("a node was created in another session"));
                }
                Ok((stat, sequence)) => {
                    let name = format!("{}{sequence}", owned.prefix());
                    *owned.node.lock() = Node::Present(name, stat.czxid);
                    return session.read(listing).await;
                }
                Err(Trouble::NoNode) => {
                    *owned.node.lock() = Node::Absent;
                    session.make_way(&owned.path).await?;
                }
                Err(trouble) => {
                    if matches!(trouble, Trouble::Refused { .. }) {
                        *owned.node.lock() = Node::Absent;
                    }
                    return Err(trouble);
                }
            }
        }
        Err(Trouble::unavailable(
            "the node of the key is removed again and again",
        ))
    }

    /// Looks for a node whose creation was not answered. What an earlier connection brought is executed
    /// by now, or never.
    pub(super) async fn find(self: &Arc<Self>, owned: &Arc<Owned>) -> Asked<Option<Line>> {
        let line = owned.session.line(&owned.path).await?;
        let Some(place) = line.find(&owned.prefix()) else {
            *owned.node.lock() = Node::Absent;
            return Ok(None);
        };
        let path = owned.path_of(&place.name);
        let stat = owned.session.client.check_stat(&path);
        let Some(stat) = owned.session.ask(stat).await? else {
            *owned.node.lock() = Node::Absent;
            return Ok(None);
        };
        *owned.node.lock() = Node::Present(place.name.clone(), stat.czxid);
        Ok(Some(line))
    }

    /// Gives the key to the owner of a node for this ttl, with the tokens of the node.
    pub(super) fn grant(
        owned: &Owned,
        czxid: i64,
        ttl: Duration,
        contended: bool,
    ) -> Asked<Granted> {
        let first = first_token(czxid).ok_or_else(|| {
            Trouble::refused(
                "this ensemble has had 2^24 leaders, or counts its transactions in a way that is not known: \
                 its numbers no longer make fencing tokens",
            )
        })?;
        let mut grant = owned.grant.lock();
        let grant = grant.get_or_insert_with(|| Grant::new(first, owned.claim.tokens));
        owned.prolong(Instant::now() + ttl);
        Ok(grant.granted(contended))
    }

    /// Removes the node, also if others wait behind it.
    pub(super) async fn remove(self: &Arc<Self>, owned: &Arc<Owned>) -> Asked<()> {
        if *owned.node.lock() == Node::Maybe {
            self.find(owned).await?;
        }
        let node = owned.node.lock().clone();
        if let Node::Present(name, _) = node {
            let path = owned.path_of(&name);
            match owned
                .session
                .ask(owned.session.client.delete(&path, None))
                .await
            {
                Ok(()) | Err(Trouble::NoNode) => {}
                Err(trouble) => {
                    if !matches!(trouble, Trouble::SessionOver) {
                        warn!(
                            "a node was perhaps not removed; trying again when its lease is over"
                        );
                    }
                    return Err(trouble);
                }
            }
            *owned.node.lock() = Node::Absent;
        }
        self.end(owned);
        Ok(())
    }
}

fn held() -> Reply {
    Reply::Held {
        ends_in: Duration::MAX,
        holder: None,
    }
}
