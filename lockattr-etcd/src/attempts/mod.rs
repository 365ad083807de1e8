//! The operations, each as a walk through one or two transactions.

mod acquire;
mod hold;
mod release;
mod turn;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{LocalBoxFuture, join};
use lockattr::backend::{Attempt, AttemptId, Event, IfHeld, Op, Outcome, OwnerId, Reply, Time};

use crate::failure::{self, Problem};
use crate::link::Link;
use crate::names::Names;
use crate::places::{Place, Places, Stage};
use crate::rpc::{KeyValue, TxnRequest};
use crate::sessions::{Class, Session, Sessions};
use crate::txn::Answers;
use crate::value;
use crate::watches::Watches;

/// How often a question is asked by another lease, when etcd has ended the one before.
const MOST_LEASES: usize = 3;

/// What a task has to tell the backend.
pub(crate) enum Report {
    Done(AttemptId, Outcome),
    /// It was tried to delete what a lease has left that ended.
    Lapsed {
        owner: OwnerId,
        key: Arc<str>,
    },
    Told,
}

pub(crate) type Task = LocalBoxFuture<'static, Report>;

/// What all operations of a backend share.
pub(crate) struct Core {
    pub(crate) names: Names,
    pub(crate) link: Rc<Link>,
    pub(crate) sessions: Sessions,
    pub(crate) places: Places,
    pub(crate) watches: Watches,
    pub(crate) events: RefCell<VecDeque<Event>>,
    /// Whether the pool is to ask again for what it waits for.
    pub(crate) is_reconnected: Cell<bool>,
    /// What is to be done besides.
    pub(crate) tasks: RefCell<Vec<Task>>,
}

/// An acquire.
struct Acquire {
    place: Place,
    owner: OwnerId,
    ttl: Duration,
    queues: bool,
    /// Until when the lease has to last that is answered.
    until: Time,
    is_given_up: Rc<Cell<bool>>,
}

impl Core {
    /// Executes one attempt. It is not sent once it is given up.
    pub(crate) async fn execute(&self, attempt: Attempt, is_given_up: Rc<Cell<bool>>) -> Outcome {
        let now = Time::now();
        let owner = attempt.owner();
        match *attempt.op() {
            Op::Acquire { ttl, if_held } => {
                let place = self.place_of(&attempt, ttl, now + ttl);
                let acquire = Acquire {
                    place,
                    owner: owner.clone(),
                    ttl,
                    queues: if_held == IfHeld::Queue,
                    until: now + ttl,
                    is_given_up,
                };
                self.acquire(&acquire).await
            }
            Op::Renew { ttl } => self.renew(owner, ttl, now + ttl).await,
            Op::Reserve { tokens } => self.reserve(owner, tokens).await,
            Op::Release {
                leave_queue,
                tombstone,
                keep: None,
            } => self.release(&attempt, leave_queue, tombstone).await,
            _ => Err(failure::refused(
                "lockattr-etcd does not know this operation",
            )),
        }
    }

    /// The place that the owner of an attempt may have.
    fn place_of(&self, attempt: &Attempt, ttl: Duration, ends: Time) -> Place {
        let folder = self.names.folder(attempt.key());
        Place {
            key: attempt.key().into(),
            name: folder.name(attempt.owner()),
            folder,
            who: attempt.who().to_string().into(),
            is_dated_as_waiter: false,
            claim: attempt.claim().ttl,
            share: attempt.claim().tokens,
            stage: Stage::InDoubt,
            revision: 0,
            class: Class::of(ttl),
            lease: 0,
            bound_at: 0,
            ends,
            tokens: 0,
        }
    }

    pub(crate) fn tell(&self, event: Event) {
        match event {
            // One for all that want it.
            Event::Reconnected => self.is_reconnected.set(true),
            event => self.events.borrow_mut().push_back(event),
        }
    }

    pub(crate) fn spawn(&self, task: Task) {
        self.tasks.borrow_mut().push(task);
    }

    async fn ask(&self, txn: TxnRequest) -> Result<Answers, Problem> {
        Answers::of(self.link.ask(txn).await?)
    }

    /// Asks something that binds names to this session, and sees meanwhile that the session lasts.
    async fn ask_bound(
        &self,
        txn: TxnRequest,
        session: &Session,
        class: Class,
        until: Time,
    ) -> Result<(Answers, Result<(), Problem>), Problem> {
        let (answer, lasting) = join(self.ask(txn), self.sessions.until(class, until)).await;
        let answer = answer.inspect_err(|problem| {
            if matches!(problem, Problem::LeaseIsGone) {
                self.sessions.forget(session.id);
            }
        })?;
        let lasting = match lasting {
            // What is bound to the other one has ended with it.
            Ok(lasts) if lasts.id != session.id => Err(Problem::LeaseIsGone),
            Ok(_) => Ok(()),
            Err(problem) => Err(problem.in_doubt()),
        };
        Ok((answer, lasting))
    }
}

/// The answer to a waiter of a key, of which this is the first name.
fn held(first: Option<&KeyValue>) -> Reply {
    Reply::Held {
        // Only etcd knows when its leases end, and the locks of a process share them.
        ends_in: Duration::MAX,
        holder: first.and_then(|it| value::read(&it.value).who),
    }
}
