//! Runs a body under a lease, and stops it when the lease is lost.

mod ongoing;

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;

use crate::Error;
use crate::all_or_nothing::acquire_all;
use crate::current::{self, Asked, Call, CloseOnDrop, Hold, OpenOnDrop};
use crate::driver::Lease;
use crate::key::Key;
use crate::keys::Keys;
use crate::lock_order;
use crate::pool::PoolSource;
use crate::spec::{Spec, Wait};
use ongoing::{Next, Ongoing, Releasing};

/// Whether the caller waits for the release before it gets the value.
pub trait Ending<R> {
    /// The value during the release.
    type Kept;

    /// Returns `Ok` with the value to keep, or `Err` with the value if the caller gets it now.
    fn keep(value: R) -> Result<Self::Kept, R>;

    /// Returns the value.
    fn give(kept: Self::Kept) -> R;

    /// Returns whether the body failed, so that its `min_hold` does not count.
    fn is_failure(_: &R) -> bool {
        false
    }
}

/// The value is kept until the lock service has confirmed the release.
#[derive(Debug)]
pub struct AwaitRelease;

impl<R> Ending<R> for AwaitRelease {
    type Kept = R;

    fn keep(value: R) -> Result<R, R> {
        Ok(value)
    }

    fn give(kept: R) -> R {
        kept
    }
}

/// The release goes on in the background. A value that is not `Send` must not be kept across an
/// await, or the future would not be `Send` either.
#[derive(Debug)]
pub struct ReleaseInBackground;

impl<R> Ending<R> for ReleaseInBackground {
    type Kept = Infallible;

    fn keep(value: R) -> Result<Infallible, R> {
        Err(value)
    }

    fn give(kept: Infallible) -> R {
        match kept {}
    }
}

pin_project! {
    /// Polls a body that calls [`enter`], and stops it when its lease is lost.
    ///
    /// It is one flat type, because each nested type counts against the compiler's recursion limit
    /// where locked functions call each other.
    ///
    /// # Cancel safety
    ///
    /// Dropping it cancels the body, if it runs, and releases the lock in the background.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    #[project = LockedProj]
    #[allow(missing_docs, reason = "its parts are private")]
    pub enum Locked<F: Future, H, E: Ending<F::Output>> {
        // Fields are dropped in this order: the body, with everything it owns, in its scope and
        // before its lease.
        Running {
            open: OpenOnDrop,
            #[pin]
            body: F,
            refuse: Option<H>,
            close: CloseOnDrop,
            ongoing: Ongoing,
        },
        Releasing {
            value: Option<E::Kept>,
            release: Releasing,
        },
        Over,
    }
}

/// Runs `body`, which calls [`enter`], under the lock. `#[distributed_lock]` expands to this call.
///
/// `refuse` turns the error into the function's value when the lock is not acquired or is lost.
pub fn locked<F, H, E>(spec: &'static Spec, _: E, refuse: H, body: F) -> Locked<F, H, E>
where
    F: Future,
    H: FnOnce(Error) -> F::Output,
    E: Ending<F::Output>,
{
    Locked::new(Asked::Attribute(spec), refuse, body)
}

impl<F, H, E> Locked<F, H, E>
where
    F: Future,
    H: FnOnce(Error) -> F::Output,
    E: Ending<F::Output>,
{
    pub(crate) fn new(asked: Asked, refuse: H, body: F) -> Self {
        Self::Running {
            open: OpenOnDrop::default(),
            body,
            refuse: Some(refuse),
            close: CloseOnDrop,
            ongoing: Ongoing::new(asked),
        }
    }
}

impl<F, H, E> Future for Locked<F, H, E>
where
    F: Future,
    H: FnOnce(Error) -> F::Output,
    E: Ending<F::Output>,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        loop {
            match self.as_mut().project() {
                LockedProj::Running {
                    open,
                    body,
                    refuse,
                    ongoing,
                    ..
                } => {
                    let polled = match ongoing.begin(cx, open) {
                        Ok(turn) => {
                            let polled = body.poll(&mut turn.context());
                            turn.end();
                            polled.map(Ok)
                        }
                        Err(error) => Poll::Ready(Err(error)),
                    };
                    let ended = match polled {
                        Poll::Ready(Ok(value)) => ongoing.check_end().map(|()| value),
                        Poll::Ready(Err(error)) => Err(error),
                        Poll::Pending => match ongoing.next(cx) {
                            Next::Poll => continue,
                            Next::Wait => return Poll::Pending,
                            Next::Refuse(error) => Err(error),
                        },
                    };
                    let (ongoing, refuse) = (ongoing.take(), refuse.take());
                    let has_failed = ended.as_ref().is_ok_and(E::is_failure);
                    match ended.map(E::keep) {
                        Ok(Ok(value)) => {
                            drop(refuse);
                            let (value, release) = (Some(value), ongoing.release(has_failed));
                            self.set(Self::Releasing { value, release });
                        }
                        Ok(Err(value)) => {
                            self.set(Self::Over);
                            drop(refuse);
                            ongoing.finish(has_failed);
                            return Poll::Ready(value);
                        }
                        Err(error) => {
                            self.set(Self::Over);
                            drop(ongoing);
                            let refuse = refuse.expect("it is taken once");
                            return Poll::Ready(refuse(error));
                        }
                    }
                }
                LockedProj::Releasing { value, release } => {
                    ready!(Pin::new(release).poll(cx));
                    let value = value.take().expect("it is taken once");
                    self.set(Self::Over);
                    return Poll::Ready(E::give(value));
                }
                LockedProj::Over => panic!("`async fn` resumed after completion"),
            }
        }
    }
}

/// The return type of [`enter`].
type Entering = AssertUnwindSafe<Pin<Box<dyn Future<Output = Lease> + Send + Sync>>>;

/// Waits for the lock of the call that polls this future, which is a `Locked`.
///
/// Does not return when the lock is refused: then the call drops its body.
///
/// Boxed, because the caller keeps space for it while the body runs.
///
/// # Panics
///
/// When it is polled outside of a `Locked`.
pub fn enter(pool: PoolSource, key: Result<Key, Error>) -> Entering {
    enter_with(0, pool, key.map(Keys::from))
}

/// Waits for several keys, all or none, on behalf of the call that is so many calls further out than the
/// one that polls this future. They share the body: it has the arguments, which all their keys may name.
///
/// # Panics
///
/// When it is polled inside of fewer `Locked`.
pub fn enter_all(
    inner: usize,
    pool: PoolSource,
    keys: impl IntoIterator<Item = Result<Key, Error>>,
) -> Entering {
    enter_with(inner, pool, Keys::new(keys))
}

pub(crate) fn enter_with(inner: usize, pool: PoolSource, keys: Result<Keys, Error>) -> Entering {
    AssertUnwindSafe(Box::pin(async move {
        let call = current::running_around(inner)
            .expect("called from the expansion of `#[distributed_lock]`");
        match acquire(&call, pool, keys).await {
            Ok((lease, hold)) => {
                call.enter(lease.clone(), hold);
                // Returns to the call once, which then polls the body in the scope of its lease.
                let mut is_back = false;
                poll_fn(|_| {
                    if std::mem::replace(&mut is_back, true) {
                        return Poll::Ready(());
                    }
                    Poll::Pending
                })
                .await;
                lease
            }
            Err(error) => {
                call.refuse(error);
                pending().await
            }
        }
    }))
}

async fn acquire(
    call: &Arc<Call>,
    pool: PoolSource,
    keys: Result<Keys, Error>,
) -> Result<(Lease, Hold), Error> {
    let (keys, pool, asked) = (keys?, pool.resolve()?, call.asked());
    for key in keys.iter() {
        let Some((outer, lease)) = call.outer_under(pool.commands(), key) else {
            continue;
        };
        let has_all = keys
            .iter()
            .all(|key| lease.token_of(key.as_str()).is_some());
        if asked.options().reentrant && has_all {
            pool.check_nested(asked.options(), outer.asked().options())?;
            let (has, wanted) = (lease.mode(), asked.options().mode);
            if !has.covers(wanted) {
                let reason = format!(
                    "the outer call has the key as `{has}`, and the nested one asks for `{wanted}`; let the outer call ask for as much"
                );
                return Err(Error::config("reentrant", reason));
            }
            let turn = outer.turn(&lease).await?;
            return Ok((lease, Hold::Nested { _turn: turn }));
        }
        // A lease that is over does not keep other calls out: acquire the key anew.
        if lease.is_valid() {
            return Err(Error::Reentrant { key: key.shared() });
        }
    }
    if pool.checks_lock_order() && pool.wait(asked.options()) != Wait::For(Duration::ZERO) {
        lock_order::check(call);
    }
    let grant = acquire_all(&pool, &keys, asked.options(), asked.label())?.await?;
    let lease = grant.lease().clone();
    let hold = Hold::Own {
        grant,
        ttl: pool.ttl(asked.options()),
        release: pool.release(asked.options()),
    };
    Ok((lease, hold))
}
