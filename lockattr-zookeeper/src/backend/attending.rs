//! What happens to a node while no attempt asks about it: its turn comes, or its lease ends.

use std::sync::Arc;
use std::time::Duration;

use lockattr::Mode;
use lockattr::backend::{Event, Time};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::warn;

use super::core::Core;
use super::owned::{Blocker, Node, Owned, Phase};
use crate::failure::{Asked, Trouble};
use crate::names::{Line, Standing};

impl Core {
    /// Attends to the node of an owner until it is gone.
    pub(super) fn attend(self: &Arc<Self>, owned: &Arc<Owned>) {
        if owned.is_attended.replace(true) {
            return;
        }
        let (core, owned) = (Arc::clone(self), Arc::clone(owned));
        self.spawn(async move {
            loop {
                match owned.phase.get() {
                    Phase::Over => return,
                    Phase::Asking => owned.changed.notified().await,
                    Phase::Waiting => core.wait(&owned).await,
                    Phase::Holding(until) => core.hold(&owned, until).await,
                }
            }
        });
    }

    fn pause(&self) -> Duration {
        (self.dialer.patience.response / 8).clamp(Duration::from_millis(10), Duration::from_secs(1))
    }

    /// Removes the node when the lease is over: nothing else does that while the session lives.
    async fn hold(self: &Arc<Self>, owned: &Arc<Owned>, until: Instant) {
        tokio::select! {
            () = sleep_until(until) => {}
            () = owned.changed.notified() => return,
        }
        let _turn = owned.turn.lock().await;
        match owned.phase.get() {
            Phase::Holding(until) if until <= Instant::now() => {}
            _ => return,
        }
        // From here on no renewal is answered with success.
        *owned.grant.lock() = None;
        match self.remove(owned).await {
            Ok(()) => {}
            Err(Trouble::SessionOver) => self.end(owned),
            Err(trouble) => {
                warn!(error = %trouble.into_error(), "a lease is over, and its node is perhaps still there");
                owned.enter(Phase::Holding(Instant::now() + self.pause()));
            }
        }
    }

    /// Waits until the node before this one is gone, and asks who is the first then.
    async fn wait(self: &Arc<Self>, owned: &Arc<Owned>) {
        let blocker = owned.blocked_by.lock().take();
        let told = match blocker {
            Some(blocker) => self.is_blocked(owned, blocker).await,
            None => Ok(()),
        };
        let looked = match told {
            Ok(()) | Err(Trouble::NoNode) => self.look(owned).await,
            Err(trouble) => Err(trouble),
        };
        if let Err(trouble) = looked {
            let error = trouble.into_error();
            warn!(%error, "a waiter does not know its place in the queue; asking again");
            tokio::select! {
                () = sleep(self.pause()) => {}
                () = owned.changed.notified() => {}
            }
        }
    }

    /// Returns when what is in the way has changed.
    async fn is_blocked(&self, owned: &Owned, blocker: Blocker) -> Asked<()> {
        let session = &owned.session;
        let watch = match blocker {
            Blocker::Node(name) => {
                let path = owned.path_of(&name);
                let watching = session.client.get_and_watch_data(&path);
                let (_, _, watch) = session.ask(watching).await?;
                watch
            }
            Blocker::Line => {
                let watching = session.client.get_and_watch_children(&owned.path);
                let (names, _, watch) = session.ask(watching).await?;
                let line = Line::read(&names)?;
                let Node::Present(name, _) = owned.node.lock().clone() else {
                    return Ok(());
                };
                if !matches!(line.standing(&name), Standing::Waits(_)) {
                    return Ok(());
                }
                watch
            }
        };
        let mut changes = std::pin::pin!(watch.changed());
        loop {
            tokio::select! {
                _ = &mut changes => return Ok(()),
                () = owned.changed.notified() => {
                    if owned.phase.get() != Phase::Waiting {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn look(self: &Arc<Self>, owned: &Arc<Owned>) -> Asked<()> {
        let _turn = owned.turn.lock().await;
        let node = owned.node.lock().clone();
        let Node::Present(name, czxid) = node else {
            return Ok(());
        };
        if owned.phase.get() != Phase::Waiting {
            return Ok(());
        }
        let since = Time::now();
        let line = owned.session.line(&owned.path).await?;
        if owned.phase.get() != Phase::Waiting {
            // The task of another owner handed the key over.
            return Ok(());
        }
        match line.standing(&name) {
            Standing::Holds => {
                // The other way looks at all owners of the pool.
                if owned.mode == Mode::Exclusive {
                    self.hand_over(owned, czxid, (since, &line))?;
                } else {
                    self.hand_over_to_all(owned, (since, &line))?;
                }
            }
            Standing::Waits(on) => {
                let blocker = on.map_or(Blocker::Line, Blocker::Node);
                *owned.blocked_by.lock() = Some(blocker);
            }
            Standing::OtherMode(_) => *owned.blocked_by.lock() = Some(Blocker::Line),
            Standing::Absent => {
                warn!("the place of a waiter was removed by another client");
                *owned.node.lock() = Node::Absent;
                self.end(owned);
                self.tell(Event::Reconnected);
            }
        }
        Ok(())
    }

    /// Others of this session have the key beside this one: they come in their order, and need not ask.
    fn hand_over_to_all(&self, owned: &Owned, seen: (Time, &Line)) -> Asked<()> {
        let (_, line) = seen;
        let waiting = self.waiting(&owned.path, &owned.session);
        for place in &line.places[..line.holders()] {
            let found = waiting.iter().find_map(|other| match &*other.node.lock() {
                Node::Present(name, czxid) if *name == place.name => Some((other, *czxid)),
                _ => None,
            });
            let Some((other, czxid)) = found else {
                continue;
            };
            // What is asked about it meanwhile finds that it has the key already.
            if other.phase.get() == Phase::Waiting {
                self.hand_over(other, czxid, seen)?;
            }
        }
        Ok(())
    }

    fn hand_over(&self, owned: &Owned, czxid: i64, (since, line): (Time, &Line)) -> Asked<()> {
        let ttl = owned.claim.ttl;
        let granted = Self::grant(owned, czxid, ttl, line.is_contended())?;
        self.tell(Event::HandedOver {
            owner: owned.owner.clone(),
            granted,
            since,
            ttl,
        });
        Ok(())
    }
}
