//! A body that runs under a lease, and not a moment longer.

mod ongoing;

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::Error;
use crate::current::{self, Asked, Call, CloseOnDrop, Hold, OpenOnDrop};
use crate::driver::Lease;
use crate::key::Key;
use crate::pool::PoolSource;
use crate::spec::Spec;
use ongoing::{Next, Ongoing, Releasing};

/// Whether the release is awaited before the caller gets the value.
pub trait Ending<R> {
    /// The value while the release is awaited.
    type Kept;

    /// Returns what is to be kept, or the value if the caller gets it now.
    fn keep(value: R) -> Result<Self::Kept, R>;

    /// The value.
    fn give(kept: Self::Kept) -> R;
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

/// The release goes on in the background: a value that is not `Send` must not be kept over an
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
    /// It is one flat type, because each one in between counts against the compiler's recursion
    /// limit where locked functions call each other.
    ///
    /// # Cancel safety
    ///
    /// Dropping it cancels the body, if it runs, and releases the lock in the background.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    #[project = LockedProj]
    #[allow(missing_docs, reason = "its parts are nobody's business")]
    pub enum Locked<F: Future, H, E: Ending<F::Output>> {
        // In the order in which they are dropped: the body, with everything it owns, in its scope
        // and before its lease.
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

/// What `#[distributed_lock]` expands to: runs `body`, which calls [`enter`], under the lock.
///
/// `refuse` makes the function's value of the error when the lock is not acquired or is lost.
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
                        Poll::Ready(ended) => ended,
                        Poll::Pending => match ongoing.next(cx) {
                            Next::Poll => continue,
                            Next::Wait => return Poll::Pending,
                            Next::Refuse(error) => Err(error),
                        },
                    };
                    let (ongoing, refuse) = (ongoing.take(), refuse.take());
                    match ended.map(E::keep) {
                        Ok(Ok(value)) => {
                            drop(refuse);
                            let (value, release) = (Some(value), ongoing.release());
                            self.set(Self::Releasing { value, release });
                        }
                        Ok(Err(value)) => {
                            self.set(Self::Over);
                            drop(refuse);
                            ongoing.finish();
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

/// What [`enter`] returns.
type Entering = AssertUnwindSafe<Pin<Box<dyn Future<Output = Lease> + Send + Sync>>>;

/// Waits for the lock of the call that polls this, which is a `Locked`.
///
/// Does not return when the lock is refused: the call drops its body then.
///
/// Boxed, because its caller keeps the place for it while the body runs.
///
/// # Panics
///
/// When it is polled outside of a `Locked`.
pub fn enter(pool: PoolSource, key: Result<Key, Error>) -> Entering {
    AssertUnwindSafe(Box::pin(async move {
        let call = current::running().expect("called from the expansion of `#[distributed_lock]`");
        match acquire(&call, pool, key).await {
            Ok((lease, hold)) => {
                call.enter(lease.clone(), hold);
                // Back to the call once, which polls the body in the scope of its lease.
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
    key: Result<Key, Error>,
) -> Result<(Lease, Hold), Error> {
    let (key, pool, asked) = (key?, pool.resolve()?, call.asked());
    if let Some((outer, lease)) = call.outer_under(pool.commands(), &key) {
        if asked.options().reentrant {
            let turn = outer.turn(&lease).await?;
            return Ok((lease, Hold::Nested { _turn: turn }));
        }
        // A lease that is over keeps nobody out: the key is acquired anew.
        if lease.is_valid() {
            return Err(Error::Reentrant { key: key.shared() });
        }
    }
    let grant = pool.begin(key, asked.options(), asked.label())?.await?;
    let lease = grant.lease().clone();
    let hold = Hold::Own {
        grant,
        ttl: pool.ttl(asked.options()),
        release: pool.release(asked.options()),
    };
    Ok((lease, hold))
}
