use super::*;
use crate::backend::Confirmation;

const WITHIN: Duration = Duration::from_millis(100);

fn confirmation() -> Confirmation {
    Confirmation {
        replicas: 1,
        fsync: false,
        within: WITHIN,
    }
}

fn unconfirmed() -> Failure {
    let kind = BackendErrorKind::Unconfirmed {
        confirmed: 0,
        wanted: 1,
    };
    Failure::outcome_unknown(BackendError::new(kind, "no replica has it"))
}

impl Fixture {
    /// Asks, and gets a grant that is not confirmed yet. Returns the renewal that is to be confirmed.
    fn is_granted(&mut self, wait: Wait) -> Attempt {
        let terms = Terms {
            wait,
            confirmation: Some(confirmation()),
            ..terms()
        };
        self.keeper.acquire(self.now, LeaseId(1), terms.into(), 1);
        let acquire = self.sends().unwrap();
        assert_eq!(acquire.confirmation, None);
        self.answers(&acquire, Ok(Reply::Granted(granted())));
        assert!(self.told().is_empty(), "it does not count yet");
        self.sends().expect("it is to be confirmed")
    }

    fn fails_with_unconfirmed(&mut self) -> bool {
        let told = self.told();
        let failed = told.into_iter().find_map(|(_, notice)| match notice {
            Notice::Failed(Error::Backend { source, .. }) => Some(source),
            _ => None,
        });
        failed.is_some_and(|it| matches!(it.kind(), BackendErrorKind::Unconfirmed { .. }))
    }
}

#[test]
fn a_grant_counts_from_its_confirmed_renewal() {
    let mut f = Fixture::new(8);
    let renewal = f.is_granted(Wait::Forever);
    assert!(matches!(renewal.op, Op::Renew { ttl: TTL }));
    assert_eq!(renewal.confirmation, Some(confirmation()));
    let sent_at = f.now;
    f.after(Duration::from_millis(90));
    f.answers(&renewal, Ok(Reply::Renewed { contended: true }));
    let told = f.told();
    let [
        (
            1,
            Notice::Acquired {
                granted,
                valid_until,
            },
        ),
    ] = &told[..]
    else {
        panic!("{told:?}");
    };
    assert_eq!(*valid_until, timing::validity_end(sent_at, TTL));
    assert!(granted.contended && granted.tokens == (7..8));
    // And so are the renewals and the tokens after it.
    f.keeper.refill(f.now, LeaseId(1), 4);
    let reserve = f.sends().unwrap();
    assert!(matches!(reserve.op, Op::Reserve { .. }));
    assert_eq!(reserve.confirmation, Some(confirmation()));
    f.answers(&reserve, Ok(Reply::Reserved(super::granted())));
    f.after(TTL / 3);
    let renewal = f.sends().unwrap();
    assert_eq!(renewal.confirmation, Some(confirmation()));
    f.told();
    f.answers(&renewal, Err(unconfirmed()));
    assert!(matches!(f.told()[..], [(1, Notice::RenewalFailed(_))]));
    f.keeper.release(f.now, LeaseId(1));
    assert_eq!(f.sends().unwrap().confirmation, None);
}

#[test]
fn a_call_that_tries_once_is_refused_and_the_grant_given_back() {
    let mut f = Fixture::new(8);
    let renewal = f.is_granted(Wait::For(Duration::ZERO));
    f.answers(&renewal, Err(unconfirmed()));
    assert!(f.fails_with_unconfirmed());
    assert!(matches!(f.sends().unwrap().op, Op::Release { .. }));
}

#[test]
fn a_call_that_waits_gives_the_grant_back_and_asks_anew() {
    let mut f = Fixture::new(8);
    let renewal = f.is_granted(Wait::Forever);
    f.answers(&renewal, Err(unconfirmed()));
    assert!(matches!(f.told()[..], [(1, Notice::Trouble(_))]));
    let release = f.sends().unwrap();
    assert!(matches!(release.op, Op::Release { .. }));
    f.answers(&release, Ok(Reply::Released));
    assert!(f.sends().is_none(), "not at once");
    f.after(Duration::from_millis(10));
    let again = f.sends().unwrap();
    assert!(matches!(again.op, Op::Acquire { .. }));
    assert_ne!(again.owner, renewal.owner);
}

/// Another server has become the master, and does not have the lease.
#[test]
fn a_grant_that_is_gone_is_not_held() {
    let mut f = Fixture::new(8);
    let renewal = f.is_granted(Wait::Forever);
    f.answers(&renewal, Ok(Reply::Gone));
    assert!(matches!(f.told()[..], [(1, Notice::Trouble(_))]));
    assert!(matches!(f.sends().unwrap().op, Op::Release { .. }));
}

/// The connection that confirms may be dead.
#[test]
fn a_lost_answer_is_asked_for_once_more() {
    let mut f = Fixture::new(8);
    let lost = || {
        let error = BackendError::new(BackendErrorKind::Unreachable, "gone");
        Failure::outcome_unknown(error)
    };
    let first = f.is_granted(Wait::For(Duration::ZERO));
    f.answers(&first, Err(lost()));
    assert!(f.told().is_empty());
    f.after(Duration::from_millis(10));
    let second = f.sends().unwrap();
    assert!(matches!(second.op, Op::Renew { .. }));
    f.answers(&second, Err(lost()));
    assert!(matches!(f.told()[..], [(1, Notice::Failed(_))]));
}

#[test]
fn a_lease_that_is_handed_off_is_confirmed_too() {
    let mut f = Fixture::new(8);
    let terms = Terms {
        confirmation: Some(confirmation()),
        ..terms()
    };
    f.keeper.acquire(f.now, LeaseId(1), terms.into(), 1);
    let acquire = f.sends().unwrap();
    // Its renewal may have to wait for the confirmation of another key.
    let claim = timing::claim_ttl(Duration::from_secs(1), TTL) + WITHIN;
    assert_eq!(acquire.claim.ttl, claim);
    f.answers(
        &acquire,
        Ok(Reply::Held {
            ends_in: HOUR,
            holder: None,
        }),
    );
    f.told();
    f.keeper.on_event(
        f.now,
        Event::HandedOver {
            owner: acquire.owner,
            granted: granted(),
            since: f.now,
            ttl: claim,
        },
    );
    assert!(f.told().is_empty());
    let renewal = f.sends().unwrap();
    assert_eq!(renewal.confirmation, Some(confirmation()));
    f.answers(&renewal, Ok(RENEWED));
    assert!(matches!(f.told()[..], [(1, Notice::Acquired { .. })]));
}

/// No answer comes, and no attempt can be sent: the wait for the confirmation ends with the grant.
#[test]
fn a_grant_that_ends_unconfirmed_is_given_back() {
    let mut f = Fixture::new(8);
    f.is_granted(Wait::For(Duration::ZERO));
    f.after(TTL);
    assert!(matches!(f.told()[..], [(1, Notice::Failed(_)), ..]));
    f.after(TTL * 3);
    f.told();
    assert_eq!(f.keeper.unfinished(), 0);
}

#[test]
fn a_caller_that_leaves_gives_the_grant_back() {
    let mut f = Fixture::new(8);
    f.is_granted(Wait::Forever);
    f.keeper.release(f.now, LeaseId(1));
    assert!(matches!(f.sends().unwrap().op, Op::Release { .. }));
}
