//! Waiters while the service refuses or fails.

use super::*;

/// The service refuses only the caller that asked; a "busy" goes to a caller that tried once.
#[test]
fn the_next_waiter_asks_when_the_first_has_failed() {
    let unavailable = Error::Backend {
        key: "k".into(),
        source: BackendError::new(BackendErrorKind::Refused, "as a test"),
    };
    let mut f = Fixture::new(64);
    let id = f.ask("a");
    f.join(f.terms(), "b");
    let line = f.line.clone();
    let failures = f.queues.failed(&line, id, unavailable);
    assert!(
        matches!(&failures.callers[..], [(waiter, Error::Backend { .. })] if waiter.caller == "a")
    );
    let [Order::Ask { id, .. }] = failures.orders[..] else {
        panic!("{failures:?}");
    };
    let busy = Error::Busy {
        holder: None,
        key: "k".into(),
        waited: MILLI,
        retry_after: None,
    };
    let failures = f.queues.failed(&line, id, busy);
    assert!(failures.callers.is_empty(), "b waits on: {failures:?}");
    assert!(matches!(failures.orders[..], [Order::Ask { .. }]));
}

/// The first attempt of a short wait found its connection dead: the second one is awaited too.
#[test]
fn a_wait_that_ends_on_a_dead_connection_gets_one_more_answer() {
    let mut f = Fixture::new(64);
    let short = Terms {
        wait: Wait::For(MILLI),
        ..f.terms()
    };
    let Joined::First {
        order: Order::Ask { id, .. },
        ..
    } = f.join(short, "a")
    else {
        panic!("nobody is before it");
    };
    let line = f.line.clone();
    let error = || BackendError::new(BackendErrorKind::Unreachable, "as a test");
    f.now = f.now + MILLI;
    assert!(
        f.queues.expire(f.now).callers.is_empty(),
        "its answer may come"
    );
    f.now = f.now + MILLI * 99;
    f.queues.troubled(f.now, &line, id, error());
    f.now = f.now + MILLI;
    assert!(f.queues.expire(f.now).callers.is_empty(), "it asks again");
    f.now = f.now + MILLI;
    f.queues.troubled(f.now, &line, id, error());
    f.now = f.now + MILLI * 100;
    let failures = f.queues.expire(f.now);
    assert!(matches!(
        &failures.callers[..],
        [(_, Error::Backend { .. })]
    ));
    assert!(f.queues.is_empty());
}

#[test]
fn a_wait_in_vain_reports_the_failure_of_the_service() {
    let short = |f: &Fixture| Terms {
        wait: Wait::For(MILLI),
        ..f.terms()
    };
    let why = |failures: Failures<&'static str>| match &failures.callers[..] {
        [(_, Error::Backend { source, .. })] => source.kind(),
        other => panic!("{other:?}"),
    };
    // The service failed, and is asked again.
    let mut f = Fixture::new(64);
    let id = f.ask("a");
    f.join(short(&f), "b");
    let trouble = BackendError::new(BackendErrorKind::Unreachable, "as a test");
    f.queues.troubled(f.now, &f.line.clone(), id, trouble);
    f.now = f.now + MILLI;
    let failures = f.queues.expire(f.now);
    assert_eq!(why(failures), BackendErrorKind::Unreachable);

    // The service does not answer even the first attempt.
    let mut f = Fixture::new(64);
    f.join(short(&f), "a");
    f.now = f.now + MILLI;
    assert!(f.queues.expire(f.now).callers.is_empty());
    f.now = f.queues.next_deadline();
    let failures = f.queues.expire(f.now);
    assert_eq!(why(failures), BackendErrorKind::Timeout);
}
