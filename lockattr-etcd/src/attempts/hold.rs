//! What an owner asks that has the key: renewals, and more tokens.

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join;
use lockattr::backend::{BackendError, BackendErrorKind, Failure, Outcome, OwnerId, Reply, Time};

use super::{Core, MOST_LEASES};
use crate::failure::Problem;
use crate::places::{Place, Stage};
use crate::rpc::{KeyValue, RequestOp, TxnRequest};
use crate::sessions::{Class, Session};
use crate::{txn, value};

/// What the place is to be bound to, for a lease that lasts until then. A lease is never made shorter: it
/// stays where it is bound while that would.
pub(super) fn class_for(place: &Place, ttl: Duration, until: Time) -> Class {
    let wanted = Class::of(ttl);
    if place.stage == Stage::Has && place.ends > until {
        place.class.max(wanted)
    } else {
        wanted
    }
}

impl Core {
    pub(super) async fn renew(&self, owner: &OwnerId, ttl: Duration, until: Time) -> Outcome {
        let Some(place) = self.having(owner).await? else {
            return Ok(Reply::Gone);
        };
        let class = class_for(&place, ttl, until);
        let Some(contended) = self.bind(owner, class, until).await? else {
            return Ok(Reply::Gone);
        };
        let ends = Time::now() + ttl;
        self.places
            .change(owner, |place| place.ends = place.ends.max(ends));
        Ok(Reply::Renewed { contended })
    }

    pub(super) async fn reserve(&self, owner: &OwnerId, tokens: u32) -> Outcome {
        let Some(place) = self.having(owner).await? else {
            return Ok(Reply::Gone);
        };
        let Some(contended) = self.others(owner, &place).await? else {
            self.leave_place(owner, place.revision);
            return Ok(Reply::Gone);
        };
        match self
            .places
            .change(owner, |place| place.reserve(tokens, contended))
        {
            None => Ok(Reply::Gone),
            Some(Some(granted)) => Ok(Reply::Reserved(granted)),
            Some(None) => {
                let error = "the lease has used all of its fencing tokens; the next one has more";
                let error = BackendError::new(BackendErrorKind::Unavailable, error);
                Err(Failure::not_executed(error))
            }
        }
    }

    /// Its place, if it has the key as far as this process knows.
    async fn having(&self, owner: &OwnerId) -> Result<Option<Place>, Failure> {
        // Only this process makes places for its owners.
        let Some(place) = self.places.get(owner) else {
            return Ok(None);
        };
        if place.stage == Stage::Has {
            return Ok(Some(place));
        }
        if place.revision == 0 {
            // An acquire is in doubt, so nothing was granted.
            return Ok(None);
        }
        let standing = self.standing(owner).await?;
        Ok(standing.and_then(|it| it.is_first.then_some(place)))
    }

    /// Whether others wait. `None` if the owner has no place any longer.
    async fn others(&self, owner: &OwnerId, place: &Place) -> Result<Option<bool>, Problem> {
        let look = txn::look(vec![txn::named(&place.name), txn::count(&place.folder)]);
        let mut answers = self.ask(look).await?;
        let is_there = self.is_seen(owner, answers.first()?.as_ref());
        let count = answers.range()?.count;
        Ok(is_there.then_some(count > 1))
    }

    /// Whether this is the owner's place. Notes what it is bound to.
    pub(super) fn is_seen(&self, owner: &OwnerId, own: Option<&KeyValue>) -> bool {
        own.is_some_and(|own| {
            let is_same = self.places.change(owner, |place| place.is_seen(own));
            is_same == Some(true)
        })
    }

    /// Sees that the owner's name is bound to a session of this class, and that this lasts. Returns
    /// whether others wait; `None` if the name is not there any longer.
    pub(super) async fn bind(
        &self,
        owner: &OwnerId,
        class: Class,
        until: Time,
    ) -> Result<Option<bool>, Problem> {
        for _ in 0..MOST_LEASES {
            let Some(place) = self.places.get(owner) else {
                return Ok(None);
            };
            let present = self.sessions.present(class);
            let bound = if present.is_some_and(|session| session.id == place.lease) {
                self.stay(owner, &place, class, until).await
            } else {
                self.move_to(owner, &place, class, until).await
            };
            match bound {
                // The present one has ended, or the one that it was to be bound to, or it is bound to another.
                Err(Problem::LeaseIsGone) => {}
                Ok(None) => {
                    self.leave_place(owner, place.revision);
                    return Ok(None);
                }
                other => return other,
            }
        }
        Err(Problem::LeaseIsGone)
    }

    async fn stay(
        &self,
        owner: &OwnerId,
        place: &Place,
        class: Class,
        until: Time,
    ) -> Result<Option<bool>, Problem> {
        let others = self.others(owner, place);
        let (others, lasting) = join(others, self.sessions.until(class, until)).await;
        let others = others?;
        let lease = lasting?.id;
        if others.is_some() {
            if self.is_elsewhere(owner, lease) {
                return Err(Problem::LeaseIsGone);
            }
            self.places.change(owner, |place| place.class = class);
        }
        Ok(others)
    }

    /// Whether another question has bound the place to something else meanwhile.
    fn is_elsewhere(&self, owner: &OwnerId, lease: i64) -> bool {
        let place = self.places.get(owner);
        place.is_none_or(|place| place.lease != lease)
    }

    async fn move_to(
        &self,
        owner: &OwnerId,
        place: &Place,
        class: Class,
        until: Time,
    ) -> Result<Option<bool>, Problem> {
        // What is granted lasts, whatever comes of the questions: now, or to a waiter meanwhile.
        let least = if place.stage == Stage::Has {
            place.ends
        } else {
            Time::now() + place.claim
        };
        let session = self.sessions.until(class, least).await?;
        let bind = if place.is_dated_as_waiter {
            txn::put(&place.name, &value::of_holder(&place.who), session.id)
        } else {
            txn::bind(&place.name, session.id)
        };
        let moved = self
            .move_by(bind, owner, place, &session, class, until)
            .await;
        if let Ok(Some(_)) = moved {
            self.places
                .change(owner, |place| place.is_dated_as_waiter = false);
        }
        moved
    }

    /// Sees that a waiter's place is bound to a session that lasts until then. `None` if it is not there any
    /// longer.
    pub(super) async fn keep_place(
        &self,
        owner: &OwnerId,
        until: Time,
    ) -> Result<Option<Rc<Session>>, Problem> {
        for _ in 0..MOST_LEASES {
            let Some(class) = self.places.get(owner).map(|it| it.class_of_waiter()) else {
                return Ok(None);
            };
            let session = self.sessions.until(class, until).await?;
            let Some(place) = self.places.get(owner) else {
                return Ok(None);
            };
            // What has the key is bound to something else, by what asked for it.
            if place.stage != Stage::Waits || place.lease == session.id {
                return Ok(Some(session));
            }
            let bind = txn::bind(&place.name, session.id);
            match self
                .move_by(bind, owner, &place, &session, class, until)
                .await
            {
                Err(Problem::LeaseIsGone) => {}
                Err(problem) => return Err(problem),
                Ok(Some(_)) => return Ok(Some(session)),
                Ok(None) => {
                    self.leave_place(owner, place.revision);
                    return Ok(None);
                }
            }
        }
        Err(Problem::LeaseIsGone)
    }

    async fn move_by(
        &self,
        bind: RequestOp,
        owner: &OwnerId,
        place: &Place,
        session: &Session,
        class: Class,
        until: Time,
    ) -> Result<Option<bool>, Problem> {
        let txn = TxnRequest {
            // One that was lost on the way must not be executed after a later one.
            compare: vec![
                txn::was_created_at(&place.name, place.revision),
                txn::was_written_at(&place.name, place.bound_at),
            ],
            success: vec![bind, txn::count(&place.folder)],
            failure: vec![txn::named(&place.name)],
        };
        self.places.change(owner, |place| place.lease = 0);
        let (mut answers, lasting) = self.ask_bound(txn, session, class, until).await?;
        if !answers.succeeded {
            let is_there = self.is_seen(owner, answers.first()?.as_ref());
            return if is_there {
                Err(Problem::LeaseIsGone)
            } else {
                Ok(None)
            };
        }
        self.places.change(owner, |place| {
            if place.bound(session.id, answers.revision) {
                place.class = class;
            }
        });
        lasting?;
        if self.is_elsewhere(owner, session.id) {
            return Err(Problem::LeaseIsGone);
        }
        answers.skip()?;
        Ok(Some(answers.range()?.count > 1))
    }
}
