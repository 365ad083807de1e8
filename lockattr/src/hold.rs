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
use crate::current::{self, Asked, Call, Hold};
use crate::key::Key;
use crate::lease::Lease;
use crate::pool::PoolSource;
use crate::spec::Spec;
use ongoing::{Next, Ongoing};

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
    /// # Cancel safety
    ///
    /// Dropping it cancels the body, if it runs, and releases the lock in the background.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Locked<F: Future, H, E: Ending<F::Output>> {
        #[pin]
        stage: Stage<F, E::Kept>,
        refuse: Option<H>,
        ongoing: AssertUnwindSafe<Ongoing>,
    }

    impl<F: Future, H, E: Ending<F::Output>> PinnedDrop for Locked<F, H, E> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            // The body, with everything it owns, goes before its lease.
            let scope = this.ongoing.scope();
            this.stage.set(Stage::Over);
            *this.refuse = None;
            drop(scope);
        }
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = StageProj]
    enum Stage<F, V> {
        Running {
            #[pin]
            body: F,
        },
        Releasing {
            value: Option<V>,
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
        Self {
            stage: Stage::Running { body },
            refuse: Some(refuse),
            ongoing: AssertUnwindSafe(Ongoing::new(asked)),
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

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let error = loop {
            let body = match this.stage.as_mut().project() {
                StageProj::Running { body } => body,
                StageProj::Releasing { value } => {
                    ready!(this.ongoing.poll_release(cx));
                    let value = value.take().expect("polled after it was ready");
                    this.stage.set(Stage::Over);
                    return Poll::Ready(E::give(value));
                }
                StageProj::Over => panic!("polled after it was ready"),
            };
            let turn = match this.ongoing.begin(cx) {
                Ok(turn) => turn,
                Err(error) => break error,
            };
            let polled = body.poll(&mut turn.context());
            turn.end();
            if let Poll::Ready(value) = polled {
                *this.refuse = None;
                match E::keep(value) {
                    Ok(value) => {
                        this.stage.set(Stage::Releasing { value: Some(value) });
                        this.ongoing.release();
                    }
                    Err(value) => {
                        this.stage.set(Stage::Over);
                        this.ongoing.finish();
                        return Poll::Ready(value);
                    }
                }
            } else {
                match this.ongoing.next() {
                    Next::Poll => {}
                    Next::Wait => return Poll::Pending,
                    Next::Refuse(error) => break error,
                }
            }
        };
        let scope = this.ongoing.scope();
        this.stage.set(Stage::Over);
        drop(scope);
        this.ongoing.give_up();
        let refuse = this.refuse.take().expect("it is taken once");
        Poll::Ready(refuse(error))
    }
}

/// Waits for the lock of the call that polls this, which is a [`Locked`].
///
/// Does not return when the lock is refused: the call drops its body then.
pub fn enter(pool: PoolSource, key: Result<Key, Error>) -> impl Future<Output = Lease> {
    AssertUnwindSafe(async move {
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
    })
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
    let ttl = pool.ttl(asked.options());
    Ok((grant.lease().clone(), Hold::Own { grant, ttl }))
}
