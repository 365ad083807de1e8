//! Releases, and the ends of leases that were not renewed.

use std::time::Duration;

use lockattr::backend::{Attempt, Outcome, OwnerId, Reply, Time};
use tracing::{debug, warn};

use super::{Core, MOST_LEASES, Report};
use crate::failure::Problem;
use crate::places::{Place, Stage};
use crate::rpc::RequestOp;
use crate::txn;

/// For an owner whose acquire may still be on its way when its lease would have ended.
const TOMBSTONE: Duration = Duration::from_secs(60);

impl Core {
    /// Nothing of the owner is there any longer.
    pub(super) fn leave(&self, owner: &OwnerId) {
        self.watches.unfollow(owner);
        self.places.remove(owner);
    }

    /// This place is not there any longer. A later one of its owner is.
    pub(super) fn leave_place(&self, owner: &OwnerId, revision: i64) {
        if self
            .places
            .get(owner)
            .is_some_and(|place| place.revision == revision)
        {
            self.leave(owner);
        }
    }

    pub(super) async fn release(
        &self,
        attempt: &Attempt,
        leave_queue: bool,
        tombstone: Option<Duration>,
    ) -> Outcome {
        let owner = attempt.owner();
        // What is not known here may be there nevertheless: what was known is forgotten with a session.
        let place = self.places.get(owner);
        let mut deletes = true;
        if !leave_queue && place.is_some_and(|it| it.stage == Stage::Waits) {
            let standing = self.standing(owner).await?;
            deletes = standing.is_some_and(|it| it.is_first);
        }
        if !deletes && tombstone.is_none() {
            return Ok(Reply::Released);
        }
        if deletes {
            // If this fails, and the pool tries no longer, it lapses: other locks may keep its session alive.
            let now = Time::now();
            let known = self
                .places
                .change(owner, |place| place.ends = place.ends.min(now));
            if known.is_none() {
                let place = self.place_of(attempt, Duration::ZERO, now);
                self.places.note(owner, place);
            }
        }
        let name = deletes.then(|| self.names.folder(attempt.key()).name(owner));
        self.give_up(owner, name.as_deref(), tombstone).await?;
        if deletes {
            self.leave(owner);
        }
        Ok(Reply::Released)
    }

    /// The lease of the owner has ended, and etcd need not know that: others may be bound to its
    /// session.
    pub(crate) async fn lapse(&self, owner: OwnerId, place: Place) -> Report {
        let tombstone = (place.stage == Stage::InDoubt).then_some(TOMBSTONE);
        match self.give_up(&owner, Some(&place.name), tombstone).await {
            Ok(()) => {
                debug!(key = &*place.key, "a lease that was not renewed has ended");
                self.leave(&owner);
            }
            // It is looked at again.
            Err(problem) => {
                let error = problem.error();
                warn!(key = &*place.key, %error, "a lease that has ended is still in etcd");
            }
        }
        Report::Lapsed {
            owner,
            key: place.key,
        }
    }

    async fn give_up(
        &self,
        owner: &OwnerId,
        name: Option<&[u8]>,
        tombstone: Option<Duration>,
    ) -> Result<(), Problem> {
        for _ in 0..MOST_LEASES {
            let mut all: Vec<RequestOp> = name.map(txn::delete).into_iter().collect();
            let mut lease = None;
            if let Some(life) = tombstone {
                let session = self.sessions.for_tombstone(life).await?;
                all.push(txn::put(&self.names.tombstone(owner), b"1", session.id));
                lease = Some(session.id);
            }
            match (self.ask(txn::look(all)).await, lease) {
                (Err(Problem::LeaseIsGone), Some(lease)) => self.sessions.forget(lease),
                (answer, _) => return answer.map(drop),
            }
        }
        Err(Problem::LeaseIsGone)
    }
}
