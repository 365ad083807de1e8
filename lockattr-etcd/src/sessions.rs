//! The leases of etcd, which the locks of this process share.
//!
//! All locks with about the same ttl are bound to one lease of etcd, their *session*. It lasts a bit
//! longer than their ttl, so that most acquires find it fresh enough, and one keep-alive answers many
//! renewals. A keep-alive is sent for an attempt that needs it: a session whose locks no process renews
//! ends by itself. That of waiters is kept alive by a timer while there are any: a pool asks the more
//! seldom for each, the more there are.
//!
//! A session is known to last for its ttl from *before* the keep-alive that was answered. Etcd keeps to
//! that over changes of its leader: the new one counts from its election, plus an election timeout.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{LocalBoxFuture, Shared};
use lockattr::backend::{BackendError, BackendErrorKind, Time};
use tracing::warn;

use crate::failure::{self, Problem};
use crate::link::Link;
use crate::rpc::{LeaseGrantRequest, LeaseKeepAliveRequest};

/// How long one lease serves for new tombstones.
const TOMBSTONES_FOR: Duration = Duration::from_secs(10);
/// More rounds than a session needs that is kept alive in time.
const MOST_ROUNDS: usize = 4;

/// The sessions of ttls that are rounded up to the same number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Class {
    seconds: u64,
    is_of_tombstones: bool,
}

impl Class {
    /// Of the leases of this ttl: with some time to spare, in which no keep-alive is needed.
    pub(crate) fn of(ttl: Duration) -> Self {
        let spare = (ttl / 5).max(Duration::from_millis(500));
        Self::lasting(ttl.saturating_add(spare), false)
    }

    /// Of the waiters whose claims last so long.
    pub(crate) fn of_claims(claim: Duration) -> Self {
        Self::lasting(claim.saturating_mul(3), false)
    }

    /// How long its session should last yet, at any time.
    pub(crate) fn reserve(self) -> Duration {
        Duration::from_secs(self.seconds) / 2
    }

    fn of_tombstones(life: Duration) -> Self {
        Self::lasting(life.saturating_add(TOMBSTONES_FOR), true)
    }

    fn lasting(span: Duration, is_of_tombstones: bool) -> Self {
        let seconds = span.as_secs() + u64::from(span.subsec_nanos() > 0);
        Self {
            // The bound is never reached: the longest are three claims of a day, the longest ttl.
            seconds: seconds.clamp(1, 14 * 24 * 60 * 60),
            is_of_tombstones,
        }
    }
}

/// One lease of etcd.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: i64,
    /// It lasts until then at least, unless it was revoked.
    known_until: Cell<Time>,
}

impl Session {
    pub(crate) fn known_until(&self) -> Time {
        self.known_until.get()
    }

    /// It has this ttl since a request that was sent then. One that etcd tells and that is none ends at once.
    fn prolong(&self, sent_at: Time, seconds: i64) {
        let until = sent_at + certain(seconds);
        self.known_until.set(self.known_until.get().max(until));
    }
}

/// How much of a ttl is certain, when the clocks drift by 1 %.
fn certain(seconds: i64) -> Duration {
    let ttl = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    ttl.saturating_sub(ttl / 100)
}

type Pending = Shared<LocalBoxFuture<'static, Result<Rc<Session>, Problem>>>;

pub(crate) struct Sessions {
    link: Rc<Link>,
    present: RefCell<HashMap<Class, Rc<Session>>>,
    /// The grants and keep-alives that are under way; an attempt that needs one waits for it too.
    pending: RefCell<HashMap<Class, Pending>>,
}

impl Sessions {
    pub(crate) fn new(link: Rc<Link>) -> Self {
        Self {
            link,
            present: RefCell::default(),
            pending: RefCell::default(),
        }
    }

    /// The session of this class that is known to be there now, if there is one.
    pub(crate) fn present(&self, class: Class) -> Option<Rc<Session>> {
        let present = self.present.borrow().get(&class).cloned();
        present.filter(|session| session.known_until() > Time::now())
    }

    /// A session that is there now.
    pub(crate) async fn open(&self, class: Class) -> Result<Rc<Session>, Problem> {
        self.until(class, Time::now()).await
    }

    /// A session that lasts until then at least: kept alive, or granted, as need be.
    pub(crate) async fn until(&self, class: Class, until: Time) -> Result<Rc<Session>, Problem> {
        for _ in 0..MOST_ROUNDS {
            if let Some(session) = self.present(class)
                && session.known_until() >= until
            {
                return Ok(session);
            }
            let pending = self.pending(class);
            match pending.await {
                Ok(session) => self.note(class, &session),
                Err(problem) => {
                    if matches!(problem, Problem::LeaseIsGone) {
                        self.forget_class(class);
                    }
                    return Err(problem);
                }
            }
        }
        let error =
            "etcd keeps leases alive too slowly for this ttl; a longer `ttl` leaves more time";
        Err(Problem::InDoubt(BackendError::new(
            BackendErrorKind::Timeout,
            error,
        )))
    }

    /// A lease for a tombstone that lasts so long.
    pub(crate) async fn for_tombstone(&self, life: Duration) -> Result<Rc<Session>, Problem> {
        self.until(Class::of_tombstones(life), Time::now() + life)
            .await
    }

    /// Etcd does not know this lease, or no longer.
    pub(crate) fn forget(&self, id: i64) {
        self.present
            .borrow_mut()
            .retain(|_, session| session.id != id);
    }

    fn forget_class(&self, class: Class) {
        self.present.borrow_mut().remove(&class);
    }

    fn pending(&self, class: Class) -> Pending {
        let mut all = self.pending.borrow_mut();
        if let Some(pending) = all.get(&class)
            && pending.peek().is_none()
        {
            return pending.clone();
        }
        // What is over is not needed any longer.
        all.retain(|_, pending| pending.peek().is_none());
        let pending = self.refresh(class).shared();
        all.insert(class, pending.clone());
        pending
    }

    fn refresh(&self, class: Class) -> LocalBoxFuture<'static, Result<Rc<Session>, Problem>> {
        let now = Time::now();
        self.present
            .borrow_mut()
            .retain(|_, session| session.known_until() > now);
        let link = Rc::clone(&self.link);
        // One for tombstones ends with the last of them.
        let present = self.present(class).filter(|_| !class.is_of_tombstones);
        if let Some(session) = present {
            return async move {
                keep_alive(&link, &session).await?;
                Ok(session)
            }
            .boxed_local();
        }
        let granting = async move {
            let ttl = i64::try_from(class.seconds).unwrap_or(i64::MAX);
            let sent_at = Time::now();
            let granted = link.ask(LeaseGrantRequest { ttl }).await?;
            if granted.id == 0 {
                // What is bound to it would never end.
                return Err(failure::malformed("a lease was granted without a number"));
            }
            let session = Session {
                id: granted.id,
                known_until: Cell::new(sent_at),
            };
            session.prolong(sent_at, granted.ttl);
            Ok(Rc::new(session))
        };
        granting.boxed_local()
    }

    /// Notes a session that was granted.
    fn note(&self, class: Class, session: &Rc<Session>) {
        self.present.borrow_mut().insert(class, Rc::clone(session));
    }
}

async fn keep_alive(link: &Link, session: &Session) -> Result<(), Problem> {
    let sent_at = Time::now();
    let answer = link.ask(LeaseKeepAliveRequest { id: session.id }).await?;
    if answer.ttl <= 0 {
        warn!("etcd has ended a lease that was to be renewed; the locks bound to it are gone");
        return Err(Problem::LeaseIsGone);
    }
    session.prolong(sent_at, answer.ttl);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_outlasts_its_ttl_by_more_than_the_drift_of_the_clocks() {
        for millis in [50, 1000, 1500, 10_000, 30_000, 86_400_000] {
            let ttl = Duration::from_millis(millis);
            for class in [Class::of(ttl), Class::of_claims(ttl)] {
                let seconds = i64::try_from(class.seconds).unwrap();
                let spare = certain(seconds).saturating_sub(ttl);
                assert!(spare > ttl / 10, "{ttl:?}: {class:?}");
            }
        }
    }

    #[test]
    fn about_the_same_ttl_is_the_same_class() {
        let seconds = |seconds| Class::of(Duration::from_secs_f64(seconds));
        assert_eq!(seconds(10.0), seconds(9.2));
        assert_ne!(seconds(10.0), seconds(11.0));
    }
}
