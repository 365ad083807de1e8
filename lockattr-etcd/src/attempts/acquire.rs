//! Acquires: the first question, and those of a waiter that asks again.

use lockattr::backend::{BackendError, BackendErrorKind, Failure, Outcome, Reply, Time};

use super::hold::class_for;
use super::{Acquire, Core, MOST_LEASES, held};
use crate::failure::Problem;
use crate::places::{Place, Stage};
use crate::rpc::{KeyValue, RequestOp, TxnRequest};
use crate::sessions::Session;
use crate::txn::{self, Answers};
use crate::value;

/// Where an owner stands.
pub(super) struct Standing {
    pub(super) is_first: bool,
    /// Whom it waits for.
    pub(super) before: Option<KeyValue>,
    pub(super) first: Option<KeyValue>,
    pub(super) revision: i64,
}

impl Core {
    pub(super) async fn acquire(&self, acquire: &Acquire) -> Outcome {
        for _ in 0..MOST_LEASES {
            match self.try_acquire(acquire).await {
                // Its place, if it had one, has ended with the lease.
                Err(Problem::LeaseIsGone) => self.leave(&acquire.owner),
                ended => return ended.map_err(Failure::from),
            }
        }
        Err(Problem::LeaseIsGone.into())
    }

    async fn try_acquire(&self, acquire: &Acquire) -> Result<Reply, Problem> {
        loop {
            if let Some(reply) = self.acquire_again(acquire).await? {
                return Ok(reply);
            }
            if let Some(reply) = self.acquire_first(acquire).await? {
                return Ok(reply);
            }
        }
    }

    /// Takes the key if no owner has a place, and otherwise a place. `None` if it is to be looked at again.
    async fn acquire_first(&self, acquire: &Acquire) -> Result<Option<Reply>, Problem> {
        let class = acquire.place.class;
        let session = self.sessions.open(class).await?;
        let claims = acquire.place.class_of_waiter();
        let waiting = self.sessions.present(claims).filter(|_| acquire.queues);
        if acquire.is_given_up.get() {
            let error = BackendError::new(BackendErrorKind::Timeout, "it was given up");
            return Err(Problem::NotExecuted(Failure::not_executed(error)));
        }
        // From here on it may have a place, whatever comes back.
        let is_new = self.places.get(&acquire.owner).is_none();
        if is_new {
            self.places.note(&acquire.owner, acquire.place.clone());
        }
        let txn = self.question(acquire, &session, waiting.as_deref());
        let asked = self.ask_bound(txn, &session, class, acquire.until).await;
        let (mut answers, lasting) = asked.inspect_err(|problem| {
            if let (Problem::LeaseIsGone, Some(waiting)) = (problem, &waiting) {
                self.sessions.forget(waiting.id);
            }
            if is_new && !matches!(problem, Problem::InDoubt(_)) {
                self.places.remove_doubted(&acquire.owner);
            }
        })?;
        if answers.succeeded {
            lasting?;
            let revision = answers.revision;
            return Ok(self.has(acquire, revision, &session));
        }
        let mut answers = answers.txn()?;
        match (answers.succeeded, waiting) {
            (true, Some(waiting)) => {
                answers.skip()?;
                self.queued(acquire, &mut answers, &waiting).await
            }
            (true, None) if acquire.queues => {
                self.sessions.open(claims).await?;
                Ok(None)
            }
            (true, None) => {
                if is_new {
                    self.places.remove_doubted(&acquire.owner);
                }
                Ok(Some(held(answers.first()?.as_ref())))
            }
            (false, _) => self.has_one(acquire, &mut answers),
        }
    }

    fn question(
        &self,
        acquire: &Acquire,
        session: &Session,
        waiting: Option<&Session>,
    ) -> TxnRequest {
        let Place {
            name, folder, who, ..
        } = &acquire.place;
        let tombstone = self.names.tombstone(&acquire.owner);
        let wait = |session: &Session| txn::put(name, &value::of_waiter(who), session.id);
        let mut otherwise: Vec<RequestOp> = waiting.map(wait).into_iter().collect();
        otherwise.extend([txn::oldest(folder), txn::newest(folder)]);
        let no_tombstone = txn::is_absent(&tombstone);
        let held = TxnRequest {
            compare: vec![no_tombstone.clone(), txn::is_absent(name)],
            success: otherwise,
            failure: vec![txn::named(&tombstone), txn::named(name)],
        };
        TxnRequest {
            compare: vec![no_tombstone, txn::is_empty(folder)],
            success: vec![txn::put(name, &value::of_holder(who), session.id)],
            failure: vec![txn::either(held)],
        }
    }

    /// It has the key, as the first and only one.
    fn has(&self, acquire: &Acquire, revision: i64, session: &Session) -> Option<Reply> {
        let mut place = acquire.place.clone();
        place.revision = revision;
        place.stage = Stage::Has;
        place.bound(session.id, revision);
        place.ends = Time::now() + acquire.ttl;
        let granted = place.granted(false);
        let is_new = self.places.note_found(&acquire.owner, place);
        is_new.then_some(Reply::Granted(granted))
    }

    /// It has a place behind others.
    async fn queued(
        &self,
        acquire: &Acquire,
        answers: &mut Answers,
        waiting: &Session,
    ) -> Result<Option<Reply>, Problem> {
        let first = answers.first()?;
        let before = answers.range()?.kvs.into_iter().nth(1);
        let mut place = acquire.place.clone();
        place.class = place.class_of_waiter();
        place.bound(waiting.id, answers.revision);
        place.revision = answers.revision;
        place.stage = Stage::Waits;
        place.is_dated_as_waiter = true;
        place.ends = place.forgotten_at(acquire.ttl);
        if !self.places.note_found(&acquire.owner, place) {
            return Ok(None);
        }
        let standing = Standing {
            is_first: false,
            before,
            first,
            revision: answers.revision,
        };
        self.wait(acquire, &standing).await.map(Some)
    }

    /// It has a tombstone, or a place from before.
    fn has_one(&self, acquire: &Acquire, answers: &mut Answers) -> Result<Option<Reply>, Problem> {
        let has_tombstone = answers.first()?.is_some();
        if let Some(own) = answers.first()? {
            let mut place = acquire.place.clone();
            place.revision = own.create_revision;
            place.is_dated_as_waiter = true;
            // What is known of it, as the tokens that were given out, stays.
            self.places.note_found(&acquire.owner, place);
            self.is_seen(&acquire.owner, Some(&own));
            return Ok(None);
        }
        self.leave(&acquire.owner);
        if has_tombstone {
            return Ok(Some(Reply::Tombstoned));
        }
        // It has ended between two looks of one transaction: that cannot be.
        Err(crate::failure::malformed("a place is there and is not"))
    }

    /// Looks where a place stands. `None` if there is none, or it has ended.
    async fn acquire_again(&self, acquire: &Acquire) -> Result<Option<Reply>, Problem> {
        let known = self.places.get(&acquire.owner);
        let Some(known) = known.filter(|place| place.revision > 0) else {
            return Ok(None);
        };
        let Some(standing) = self.standing(&acquire.owner).await? else {
            self.leave_place(&acquire.owner, known.revision);
            return Ok(None);
        };
        let mut waits = !standing.is_first;
        if waits {
            self.places.change(&acquire.owner, |place| {
                // Its turn may have come since etcd was asked: the first one stays the first.
                waits = place.stage != Stage::Has;
                if waits {
                    place.stage = Stage::Waits;
                    place.ends = place.ends.max(place.forgotten_at(acquire.ttl));
                }
            });
        }
        if waits {
            return self.wait(acquire, &standing).await.map(Some);
        }
        self.watches.unfollow(&acquire.owner);
        let Some(place) = self.places.get(&acquire.owner) else {
            return Ok(None);
        };
        let class = class_for(&place, acquire.ttl, acquire.until);
        let Some(contended) = self.bind(&acquire.owner, class, acquire.until).await? else {
            return Ok(None);
        };
        let ends = Time::now() + acquire.ttl;
        let granted = self.places.change(&acquire.owner, |place| {
            let had_it = place.stage == Stage::Has;
            place.ends = if had_it { place.ends.max(ends) } else { ends };
            place.stage = Stage::Has;
            place.granted(contended)
        });
        Ok(granted.map(Reply::Granted))
    }

    /// Asks where a place stands. `None` if it has ended.
    pub(super) async fn standing(
        &self,
        owner: &lockattr::backend::OwnerId,
    ) -> Result<Option<Standing>, Problem> {
        let Some(place) = self.places.get(owner) else {
            return Ok(None);
        };
        let look = txn::look(vec![
            txn::named(&place.name),
            txn::oldest(&place.folder),
            txn::before(&place.folder, place.revision),
        ]);
        let mut answers = self.ask(look).await?;
        let own = answers.first()?;
        let Some(own) = own.filter(|own| self.is_seen(owner, Some(own))) else {
            return Ok(None);
        };
        let first = answers.first()?;
        Ok(Some(Standing {
            is_first: first.as_ref().is_some_and(|it| it.key == own.key),
            before: answers.first()?,
            first,
            revision: answers.revision,
        }))
    }

    /// Watches the one before, and sees that the place is kept alive.
    async fn wait(&self, acquire: &Acquire, standing: &Standing) -> Result<Reply, Problem> {
        self.follow(&acquire.owner, standing);
        let until = Time::now() + acquire.place.class_of_waiter().reserve();
        let kept = self.keep_place(&acquire.owner, until).await;
        if kept.map_err(Problem::in_doubt)?.is_none() {
            return Err(Problem::LeaseIsGone);
        }
        Ok(held(standing.first.as_ref()))
    }
}
