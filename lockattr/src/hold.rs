//! A body that runs under a lease, and not a moment longer.

use std::future::poll_fn;
use std::pin::pin;

use tracing::{Instrument as _, warn};

use crate::__private::Outcome;
use crate::driver::{Acquiring, Grant};
use crate::key::Key;
use crate::label::Label;
use crate::lease::Lease;
use crate::pool::{LockPool, PoolSource};
use crate::spec::{OnLost, Options, Spec};
use crate::{Error, LossReason, current};

/// The way into a body.
pub(crate) enum Entry {
    /// The lease has to be acquired.
    Acquire(Acquiring),
    /// The task holds it already, and nests.
    Nested(Lease),
}

impl Entry {
    pub(crate) fn new(
        pool: &LockPool,
        key: Key,
        options: &Options,
        label: Label,
    ) -> Result<Self, Error> {
        match current::find(pool.commands(), &key) {
            Some(lease) if options.reentrant => Ok(Self::Nested(lease)),
            Some(_) => Err(Error::Reentrant { key: key.shared() }),
            None => Ok(Self::Acquire(pool.begin(key, options, label)?)),
        }
    }
}

/// What `#[distributed_lock]` expands to: runs `body` under the lock, or returns the error as the
/// function's own.
pub fn hold<R, F>(
    spec: &'static Spec,
    pool: PoolSource,
    key: Result<Key, Error>,
    body: impl FnOnce(Lease) -> F,
) -> impl Future<Output = R>
where
    R: Outcome,
    F: Future<Output = R>,
{
    hold_or(spec, pool, key, R::refused, body)
}

/// The same for functions that say by themselves what to return: `refuse` makes it of the error.
///
/// # Cancel safety
///
/// Dropping the future cancels the body, if it runs, and releases the lock in the background.
pub async fn hold_or<R, F>(
    spec: &'static Spec,
    pool: PoolSource,
    key: Result<Key, Error>,
    refuse: impl FnOnce(Error) -> R,
    body: impl FnOnce(Lease) -> F,
) -> R
where
    F: Future<Output = R>,
{
    let label = Label::Function {
        module: spec.module,
        function: spec.function,
    };
    let entry = key.and_then(|key| Entry::new(&pool.resolve()?, key, &spec.options, label));
    let output = match entry {
        Ok(Entry::Acquire(acquiring)) => match acquiring.await {
            Ok(grant) => run(grant, spec.options.on_lost, body).await,
            Err(error) => Err(error),
        },
        Ok(Entry::Nested(lease)) => Ok(body(lease).await),
        Err(error) => Err(error),
    };
    output.unwrap_or_else(refuse)
}

/// Runs `body` until it is finished or its lease is lost, and releases.
///
/// The grant comes first and the body after it, so that the body, with everything it owns, is
/// dropped before its lease is given up, whichever way this ends.
pub(crate) async fn run<R, F>(
    grant: Grant,
    on_lost: OnLost,
    body: impl FnOnce(Lease) -> F,
) -> Result<R, Error>
where
    F: Future<Output = R>,
{
    let output = {
        let lease = grant.lease();
        let body = current::scope(lease.clone(), body(lease.clone()));
        let mut body = pin!(body.instrument(lease.span()));
        let mut lost = pin!(lease.lost());
        poll_fn(|cx| {
            if on_lost == OnLost::Cancel {
                // The clock is asked too: the thread that tells of losses may be late.
                let told = lost.as_mut().poll(cx).is_ready();
                if let Some(reason) = lease.over().or(told.then_some(LossReason::Expired)) {
                    return Err(reason).into();
                }
            }
            body.as_mut().poll(cx).map(Ok)
        })
        .await
    };
    match output {
        Ok(value) => {
            note_end(grant.lease());
            grant.release().await;
            Ok(value)
        }
        Err(reason) => Err(grant.lease().lost_error(reason)),
    }
}

/// A body that is finished has done its work: its value is returned even when the lease ended
/// under it, but not in silence.
fn note_end(lease: &Lease) {
    if let Some(reason) = lease.over() {
        lease.pool().counters().finished_after_loss.add_one();
        let (key, fencing_token) = (lease.key(), lease.fencing_token());
        warn!(parent: lease.span(), key, fencing_token, %reason, "the body finished after its lease was over");
    }
}
