//! Renewals, reservations and releases.

use std::sync::Arc;
use std::time::Duration;

use lockattr::backend::{BackendError, BackendErrorKind, Failure, Outcome, OwnerId, Reply};
use tokio::time::Instant;

use super::core::{Announced, Core};
use super::owned::{Node, Owned, Phase};
use crate::failure::{Asked, Trouble};
use crate::names::{Line, Standing};

impl Core {
    /// A renewal changes nothing on the server: it shows that the session lived and that the node was
    /// there after it was asked for.
    pub(super) async fn renew(
        self: Arc<Self>,
        owner: OwnerId,
        ttl: Duration,
        flush: u64,
    ) -> Outcome {
        let prolong = |owned: &Owned, contended| {
            owned.prolong(Instant::now() + ttl);
            Ok(Reply::Renewed { contended })
        };
        self.while_held(&owner, ttl, flush, prolong).await
    }

    pub(super) async fn reserve(
        self: Arc<Self>,
        owner: OwnerId,
        tokens: u32,
        flush: u64,
    ) -> Outcome {
        let reserve = |owned: &Owned, contended| {
            let mut grant = owned.grant.lock();
            let reserved = grant
                .as_mut()
                .and_then(|grant| grant.reserve(tokens, contended));
            reserved.map(Reply::Reserved).ok_or_else(|| {
                Failure::not_executed(BackendError::new(
                    BackendErrorKind::Unavailable,
                    "the fencing tokens of this lease are used up: the next lease has new ones",
                ))
            })
        };
        self.while_held(&owner, Duration::ZERO, flush, reserve)
            .await
    }

    /// Does this for an owner that still has its key, whether or not others want it, if its session lasts so long.
    async fn while_held(
        &self,
        owner: &OwnerId,
        lasts: Duration,
        flush: u64,
        then: impl FnOnce(&Owned, bool) -> Outcome,
    ) -> Outcome {
        let Some(owned) = self.owned(owner) else {
            return Ok(Reply::Gone);
        };
        let _turn = owned.turn.lock().await;
        if !owned.has_key() {
            return Ok(Reply::Gone);
        }
        if let Err(trouble) = owned.session.suffices(lasts) {
            return Err(trouble.into_failure(false));
        }
        match self.confirm(&owned, flush).await {
            Ok(Some(line)) => then(&owned, line.is_contended()),
            Ok(None) => Ok(Reply::Gone),
            Err(trouble) => Err(trouble.into_failure(true)),
        }
    }

    /// Returns the line if the owner still has its key.
    async fn confirm(&self, owned: &Arc<Owned>, flush: u64) -> Asked<Option<Line>> {
        let node = owned.node.lock().clone();
        let Node::Present(name, _) = node else {
            return Ok(None);
        };
        match owned.session.line_in(flush, &owned.path).await {
            Ok(line) if line.standing(&name) == Standing::Holds => Ok(Some(line)),
            Ok(_) => {
                // Taken away by force.
                *owned.node.lock() = Node::Absent;
                self.end(owned);
                Ok(None)
            }
            Err(Trouble::SessionOver) => {
                self.end(owned);
                Ok(None)
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// A release. Acquires of the key that were submitted later wait for it.
    pub(super) async fn release(
        self: Arc<Self>,
        owner: OwnerId,
        leave_queue: bool,
        announced: Announced,
    ) -> Outcome {
        let _announced = announced;
        let Some(owned) = self.owned(&owner) else {
            return Ok(Reply::Released);
        };
        let _turn = owned.turn.lock().await;
        if owned.phase.get() == Phase::Waiting && !leave_queue {
            return Ok(Reply::Released);
        }
        match self.remove(&owned).await {
            Ok(()) => Ok(Reply::Released),
            Err(Trouble::SessionOver) => {
                self.end(&owned);
                Ok(Reply::Released)
            }
            Err(trouble) => {
                // It is tried again, also if the pool does not.
                owned.enter(Phase::Holding(
                    Instant::now() + self.dialer.patience.response,
                ));
                Err(trouble.into_failure(true))
            }
        }
    }
}
