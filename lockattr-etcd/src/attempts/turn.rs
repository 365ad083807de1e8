//! A waiter's turn: the one before it is gone.

use std::rc::Rc;

use lockattr::backend::{Event, OwnerId, Time};
use tracing::debug;

use super::acquire::Standing;
use super::{Core, Report};
use crate::failure::Problem;
use crate::places::Stage;
use crate::sessions::Class;

impl Core {
    /// Watches the one before this owner.
    pub(super) fn follow(&self, owner: &OwnerId, standing: &Standing) {
        let Some(before) = &standing.before else {
            return;
        };
        let is_holder = standing
            .first
            .as_ref()
            .is_some_and(|it| it.key == before.key);
        self.watches
            .follow(owner, &before.key, standing.revision + 1, is_holder);
    }

    /// The one before this owner is gone, or can be watched no longer.
    pub(crate) async fn turn(self: Rc<Self>, owner: OwnerId, is_next: bool) -> Report {
        if let Err(problem) = self.look_at_turn(&owner, is_next).await {
            debug!(error = %problem.error(), "a waiter does not learn whether it is its turn");
            // It is followed no longer. An attempt that is under way, as its release, finds out itself.
            if !self.places.is_busy(&owner) {
                self.tell(Event::Reconnected);
            }
        }
        Report::Told
    }

    async fn look_at_turn(&self, owner: &OwnerId, is_next: bool) -> Result<(), Problem> {
        let asked_at = Time::now();
        if !is_next {
            let standing = self.standing(owner).await?;
            let standing = standing.ok_or(Problem::LeaseIsGone)?;
            if !standing.is_first {
                self.follow(owner, &standing);
                return Ok(());
            }
        }
        self.hand_over(owner, asked_at).await
    }

    /// Keeps alive what waiters of this class are bound to.
    pub(crate) async fn keep_waiters(self: Rc<Self>, class: Class) -> Report {
        let until = Time::now() + class.reserve();
        match self.sessions.until(class, until).await {
            Ok(_) => {}
            // Their places are gone; they take others when the pool asks again.
            Err(Problem::LeaseIsGone) => self.tell(Event::Reconnected),
            Err(problem) => {
                debug!(error = %problem.error(), "what waiters are bound to is not kept alive");
            }
        }
        Report::Told
    }

    /// The owner is first: no other owner can get before it, and its place is there while its session is known
    /// to last.
    async fn hand_over(&self, owner: &OwnerId, since: Time) -> Result<(), Problem> {
        let waiting = |place: &crate::places::Place| place.stage == Stage::Waits;
        let Some(place) = self.places.get(owner).filter(waiting) else {
            return Ok(());
        };
        // Half a claim is not worth having.
        let least = since + place.claim.saturating_mul(3) / 4;
        let kept = self.keep_place(owner, least).await?;
        let session = kept.ok_or(Problem::LeaseIsGone)?;
        let ttl = session.known_until().since(since).min(place.claim);
        let granted = self.places.change(owner, |place| {
            if !waiting(place) {
                return None;
            }
            place.stage = Stage::Has;
            place.ends = since + ttl;
            Some(place.granted(false))
        });
        if let Some(granted) = granted.flatten() {
            self.tell(Event::HandedOver {
                owner: owner.clone(),
                granted,
                since,
                ttl,
            });
        }
        Ok(())
    }
}
