//! A fleet of processes that use one lock service.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::Checked;
#[cfg(feature = "redis")]
use crate::RedisOptions;
use crate::backend::engine::{Connect, boxed};
use crate::backend::{
    Attempt, AttemptId, Backend, BackendError, Capabilities, Claim, Confirmation, Event, Granted,
    IfHeld, Inspected, Inspection, LeaseId, Op, Outcome, OwnerId, OwnerIds, Reply, Time,
};
use crate::key::Key;
use crate::label::Label;
use crate::mode::Mode;
use crate::timing;
use crate::{Error, LockPool, LockPoolBuilder};

/// Longer than any sound service needs for one answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The delay that a busy machine may add to the ttl.
pub(super) const MOMENT: Duration = Duration::from_secs(2);
/// How many tokens a grant asks for, if they come in ranges.
const TOKENS: u32 = 5;

pub(super) struct Fleet {
    connect: Connect,
    pub(super) ttl: Duration,
    replicas: u8,
    /// Makes the keys of each run different.
    run: u64,
    keys: Cell<u64>,
    /// How long the service was waited for.
    waited: Rc<Cell<Duration>>,
}

impl Fleet {
    pub(super) fn new<B, F>(
        connect: impl Fn(OwnerIds) -> F + Send + Sync + 'static,
        ttl: Duration,
        replicas: u8,
    ) -> Self
    where
        B: Backend,
        F: Future<Output = Result<B, BackendError>> + 'static,
    {
        Self {
            connect: boxed(connect),
            ttl,
            replicas,
            run: fastrand::u64(..),
            keys: Cell::new(0),
            waited: Rc::default(),
        }
    }

    /// Returns how long the service was waited for since the last call.
    pub(super) fn take_waited(&self) -> Duration {
        self.waited.take()
    }

    /// Returns a key that is not used otherwise.
    pub(super) fn key(&self) -> Result<Key, String> {
        self.keys.set(self.keys.get() + 1);
        let text = format!("conformance:{:016x}:{}", self.run, self.keys.get());
        Key::new(text).map_err(|error| error.to_string())
    }

    pub(super) async fn capabilities(&self) -> Result<Capabilities, String> {
        Ok(self.process().await?.backend.capabilities())
    }

    /// Starts one more process.
    pub(super) async fn process(&self) -> Result<Process, String> {
        let owners = OwnerIds::random().map_err(|error| error.to_string())?;
        let connecting = (self.connect)(owners.clone());
        let backend = waiting(&self.waited, PATIENCE, connecting)
            .await
            .map_err(|_| "it does not connect".to_owned())?
            .map_err(|error| format!("it does not connect: {error}"))?;
        let tokens = if backend.capabilities().has_token_ranges() {
            TOKENS
        } else {
            1
        };
        Ok(Process {
            backend,
            confirmation: self.confirmation(),
            owners,
            claim: Claim {
                ttl: self.ttl,
                tokens,
            },
            lease: 0,
            modes: HashMap::new(),
            number: 0,
            ended: VecDeque::new(),
            told: VecDeque::new(),
            waited: Rc::clone(&self.waited),
        })
    }

    fn confirmation(&self) -> Option<Confirmation> {
        (self.replicas > 0).then_some(Confirmation {
            replicas: self.replicas,
            fsync: false,
            within: timing::DEFAULT_CONFIRM_WITHIN,
        })
    }

    /// Builds a pool on the service.
    pub(super) async fn pool(&self) -> Result<LockPool, Error> {
        let connect = Arc::clone(&self.connect);
        let builder = LockPoolBuilder::default();
        #[cfg(feature = "redis")]
        let builder = builder.redis(RedisOptions::new().confirm_replicas(self.replicas));
        builder
            .backend("the backend under test", move |owners| connect(owners))
            .default_ttl(self.ttl)
            .build()
            .await
    }

    pub(super) fn acquire(&self, if_held: IfHeld) -> Op {
        Op::Acquire {
            ttl: self.ttl,
            if_held,
        }
    }

    pub(super) fn renew(&self) -> Op {
        Op::Renew { ttl: self.ttl }
    }
}

pub(super) const RELEASE: Op = Op::Release {
    leave_queue: false,
    tombstone: None,
    keep: None,
};

/// One process, with its own backend.
pub(super) struct Process {
    backend: Box<dyn Backend>,
    /// What its renewals and reservations ask for.
    confirmation: Option<Confirmation>,
    owners: OwnerIds,
    claim: Claim,
    lease: u64,
    /// The owners that are not exclusive.
    modes: HashMap<LeaseId, Mode>,
    number: u64,
    /// The attempts that ended and were not read yet.
    ended: VecDeque<(AttemptId, Outcome)>,
    /// The handoffs that came and were not read yet.
    told: VecDeque<HandedOver>,
    waited: Rc<Cell<Duration>>,
}

/// Waits for the service, and adds to `waited` how long that took.
async fn waiting<F: Future>(
    waited: &Cell<Duration>,
    patience: Duration,
    future: F,
) -> Result<F::Output, tokio::time::error::Elapsed> {
    let begun = Time::now();
    let ended = tokio::time::timeout(patience, future).await;
    waited.set(waited.get() + Time::now().since(begun));
    ended
}

#[derive(Debug)]
pub(super) struct HandedOver {
    pub(super) owner: OwnerId,
    pub(super) granted: Granted,
    pub(super) since: Time,
    pub(super) ttl: Duration,
}

impl Process {
    /// Returns an owner that the service has not seen.
    pub(super) fn owner(&mut self) -> OwnerId {
        self.lease += 1;
        self.owners.first(LeaseId(self.lease))
    }

    /// Returns an owner that asks in this mode.
    pub(super) fn owner_in(&mut self, mode: Mode) -> OwnerId {
        let owner = self.owner();
        self.modes.insert(owner.lease, mode);
        owner
    }

    pub(super) fn claim(&self) -> Claim {
        self.claim
    }

    /// The part of its owner ids that nobody else may know.
    pub(super) fn secret(&self) -> &str {
        self.owners.prefix()
    }

    /// Asks about locks. `None` if the service has no answers.
    pub(super) async fn inspect(
        &self,
        inspection: Inspection,
    ) -> Option<Result<Inspected, BackendError>> {
        Some(self.backend.inspector()?(inspection).await)
    }

    /// Submits an attempt, once there is room for it.
    pub(super) async fn submit(
        &mut self,
        key: &Key,
        owner: &OwnerId,
        op: Op,
    ) -> Result<AttemptId, String> {
        let lane = self.backend.capabilities().lanes.of(key.as_str());
        while self.backend.room(lane, 1) == 0 {
            self.flush();
            if self.backend.room(lane, 1) == 0 {
                let event = self.event().await?;
                let ended = self.note(event);
                self.ended.extend(ended);
            }
        }
        let mode = self.modes.get(&owner.lease).copied().unwrap_or_default();
        let tokens = if mode.is_exclusive() {
            self.claim.tokens
        } else {
            1
        };
        self.number += 1;
        let id = AttemptId {
            lease: owner.lease,
            number: self.number,
        };
        self.backend.submit(Attempt {
            id,
            key: key.clone(),
            owner: owner.clone(),
            claim: Claim {
                tokens,
                ..self.claim
            },
            label: Label::here(),
            confirmation: match op {
                Op::Renew { .. } | Op::Reserve { .. } => self.confirmation,
                _ => None,
            },
            op,
            mode,
            least_token: 0,
        });
        Ok(id)
    }

    pub(super) fn flush(&mut self) {
        self.backend.flush();
    }

    pub(super) fn overdue(&mut self, id: AttemptId) {
        self.backend.overdue(id);
    }

    /// Submits an attempt, and waits for the answer.
    pub(super) async fn ask(
        &mut self,
        key: &Key,
        owner: &OwnerId,
        op: Op,
    ) -> Result<Reply, String> {
        let id = self.submit(key, owner, op).await?;
        self.flush();
        let (ended, outcome) = self.ended().await?;
        if ended != id {
            return Err(format!(
                "{id:?} was asked, and {ended:?} ended: {outcome:?}"
            ));
        }
        outcome.map_err(|failure| format!("{op:?} failed: {}", failure.error()))
    }

    /// Waits for the end of an attempt.
    pub(super) async fn ended(&mut self) -> Result<(AttemptId, Outcome), String> {
        loop {
            if let Some(ended) = self.ended.pop_front() {
                return Ok(ended);
            }
            let event = self.event().await?;
            let ended = self.note(event);
            self.ended.extend(ended);
        }
    }

    /// Waits for a handoff.
    pub(super) async fn handed_over(&mut self) -> Result<HandedOver, String> {
        loop {
            if let Some(told) = self.told.pop_front() {
                return Ok(told);
            }
            let event = self.event_within(self.claim.ttl * 3 + MOMENT).await?;
            if let Some(ended) = self.note(event) {
                return Err(format!("an attempt ended that nobody made: {ended:?}"));
            }
        }
    }

    /// Whether a handoff has come by now. Call it after an answer that came later.
    pub(super) fn has_been_told(&self) -> Checked {
        match self.told.front() {
            None => Ok(()),
            Some(told) => Err(format!(
                "a lease was handed over that is another's: {told:?}"
            )),
        }
    }

    async fn event(&mut self) -> Result<Event, String> {
        self.event_within(PATIENCE).await
    }

    async fn event_within(&mut self, patience: Duration) -> Result<Event, String> {
        let next = poll_fn(|cx| self.backend.poll_event(cx));
        waiting(&self.waited, patience, next)
            .await
            .map_err(|_| format!("nothing came within {patience:?}"))
    }

    fn note(&mut self, event: Event) -> Option<(AttemptId, Outcome)> {
        match event {
            Event::Done(id, outcome) => return Some((id, outcome)),
            Event::HandedOver {
                owner,
                granted,
                since,
                ttl,
            } => self.told.push_back(HandedOver {
                owner,
                granted,
                since,
                ttl,
            }),
            Event::Reconnected | Event::Room => {}
        }
        None
    }
}
