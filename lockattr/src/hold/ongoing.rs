//! The part of a locked call that does not depend on its body's type.

use std::fmt;
use std::panic::UnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tracing::warn;

use crate::current::{Asked, Call, Entered, Hold, OpenOnDrop, Scope};
use crate::driver::{Grant, Lease};
use crate::spec::{OnLost, Release};
use crate::stall::Alarm;
use crate::{Error, LossReason};

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + Sync>>;

/// A call from its first poll to its release.
pub struct Ongoing {
    stage: Stage,
    watch: Option<Watch>,
}

enum Stage {
    Asked(Asked),
    Running(Arc<Call>),
    Over,
}

/// The release of a call's own lease.
pub struct Releasing(Option<BoxFuture<()>>);

impl Future for Releasing {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            None => Poll::Ready(()),
            Some(release) => release.as_mut().poll(cx),
        }
    }
}

/// The state that is watched once the call has its lease.
struct Watch {
    lease: Lease,
    on_lost: OnLost,
    /// Made when the body waits for the first time: many bodies never wait.
    lost: Option<BoxFuture<LossReason>>,
    alarm: Arc<Alarm>,
    waker: Waker,
    /// `None` for a nested call: the outer call notices stalls.
    ttl: Option<Duration>,
}

/// The call's next step after a poll that did not finish the body.
pub(super) enum Next {
    Wait,
    Poll,
    Refuse(Error),
}

impl Ongoing {
    pub(super) fn new(asked: Asked) -> Self {
        Self {
            stage: Stage::Asked(asked),
            watch: None,
        }
    }

    /// Prepares one poll of the body.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] when the lease is over: the body must not run on.
    pub(super) fn begin<'a>(
        &'a mut self,
        cx: &'a Context<'_>,
        open: &mut OpenOnDrop,
    ) -> Result<Turn<'a>, Error> {
        if let Stage::Asked(asked) = &self.stage {
            let call = Call::new(asked.clone());
            open.arm(&call);
            self.stage = Stage::Running(call);
        }
        let Stage::Running(call) = &self.stage else {
            unreachable!("the body is polled while the call runs")
        };
        let waker = match &mut self.watch {
            None => cx.waker(),
            Some(watch) => watch.look(cx)?,
        };
        Ok(Turn {
            call,
            waker,
            is_over: false,
            _scope: Scope::enter(call),
        })
    }

    pub(super) fn next(&mut self, cx: &Context<'_>) -> Next {
        let Stage::Running(call) = &self.stage else {
            return Next::Wait;
        };
        if let Some(watch) = &mut self.watch {
            return watch.wait(cx);
        }
        if call.is_entered() {
            self.watch = call.lease().map(|lease| Watch::new(call, lease.clone()));
            return Next::Poll;
        }
        match call.leave() {
            Entered::Refused(error) => Next::Refuse(error),
            _ => Next::Wait,
        }
    }

    /// Checks the lease once the body is finished.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] when it is over, with [`OnLost::Error`].
    pub(super) fn check_end(&self) -> Result<(), Error> {
        let watch = self.watch.as_ref();
        let strict = watch.filter(|watch| watch.on_lost == OnLost::Error);
        match strict.and_then(|watch| Some((&watch.lease, watch.lease.over()?))) {
            Some((lease, reason)) => Err(lease.lost_error(reason)),
            None => Ok(()),
        }
    }

    /// Takes the call out, and leaves one that is over.
    pub(super) fn take(&mut self) -> Self {
        Self {
            stage: std::mem::replace(&mut self.stage, Stage::Over),
            watch: self.watch.take(),
        }
    }

    /// Starts the release of a call whose body is finished.
    pub(super) fn release(mut self, has_failed: bool) -> Releasing {
        let release = match self.finished(has_failed) {
            Some((grant, Release::Await)) => Some(grant.release()),
            // Dropping the grant releases it.
            Some((_, Release::Background)) | None => None,
        };
        Releasing(release.map(|release| -> BoxFuture<()> { Box::pin(release) }))
    }

    /// Does the same in the background.
    pub(super) fn finish(mut self, has_failed: bool) {
        drop(self.finished(has_failed));
    }

    /// Releases in the background all that the call holds.
    pub(super) fn give_up(&mut self) {
        if let Some(watch) = self.watch.take() {
            watch.note_stall(watch.alarm.dropped());
        }
        if let Stage::Running(call) = std::mem::replace(&mut self.stage, Stage::Over) {
            drop(call.fail());
        }
    }

    /// A finished body has done its work: its value is returned even if the lease ended before, but
    /// that is traced and counted.
    fn finished(&mut self, has_failed: bool) -> Option<(Grant, Release)> {
        self.watch = None;
        let Stage::Running(call) = &self.stage else {
            return None;
        };
        let left = if has_failed {
            call.fail()
        } else {
            call.leave()
        };
        let Entered::Held(Hold::Own { grant, release, .. }) = left else {
            return None;
        };
        let lease = grant.lease();
        if let Some(reason) = lease.over() {
            lease.pool().counters().finished_after_loss.add_one();
            let (key, fencing_token) = (lease.key(), lease.fencing_token());
            warn!(parent: lease.span(), lock.key = key, lock.fencing_token = fencing_token, lock.loss = %reason, "the body finished after its lease was over");
        }
        Some((grant, release))
    }
}

impl Drop for Ongoing {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl Watch {
    fn new(call: &Call, lease: Lease) -> Self {
        let alarm = Alarm::new(Waker::noop());
        Self {
            on_lost: call.asked().options().on_lost,
            lost: None,
            waker: Waker::from(Arc::clone(&alarm)),
            alarm,
            ttl: call.own_ttl(),
            lease,
        }
    }

    /// Checks the lease and looks for stalls; returns the waker for the body.
    fn look(&mut self, cx: &Context<'_>) -> Result<&Waker, Error> {
        self.note_stall(self.alarm.polled(cx.waker()));
        if self.on_lost == OnLost::Cancel
            && let Some(reason) = self.over(cx)
        {
            return Err(self.lease.lost_error(reason));
        }
        Ok(&self.waker)
    }

    /// Returns why the lease is over. Once the body waits, also wakes the task when the lease ends.
    fn over(&mut self, cx: &Context<'_>) -> Option<LossReason> {
        let ended = self.lost.as_mut().is_some_and(|lost| {
            let mut cx = Context::from_waker(cx.waker());
            lost.as_mut().poll(&mut cx).is_ready()
        });
        // Checks the clock too: the thread that reports losses may be late.
        let over = self.lease.over();
        over.or(ended.then_some(LossReason::Expired))
    }

    fn wait(&mut self, cx: &Context<'_>) -> Next {
        if self.on_lost != OnLost::Cancel || self.lost.is_some() {
            return Next::Wait;
        }
        let lease = self.lease.clone();
        self.lost = Some(Box::pin(async move { lease.lost().await }));
        match self.over(cx) {
            Some(reason) => Next::Refuse(self.lease.lost_error(reason)),
            None => Next::Wait,
        }
    }

    fn note_stall(&self, idle: Duration) {
        if self.ttl.is_some_and(|ttl| idle > ttl) {
            self.lease.pool().counters().stalled.add_one();
            let key = self.lease.key();
            warn!(
                parent: self.lease.span(),
                lock.key = key,
                lock.idle = ?idle,
                "a body that holds its lock was not polled; set `max_hold` to bound how long it keeps others out"
            );
        }
    }
}

/// One poll of the body.
pub(super) struct Turn<'a> {
    call: &'a Call,
    waker: &'a Waker,
    is_over: bool,
    _scope: Scope,
}

impl<'a> Turn<'a> {
    pub(super) fn context(&self) -> Context<'a> {
        Context::from_waker(self.waker)
    }

    pub(super) fn end(mut self) {
        self.is_over = true;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // After a panic the body is over, even if its future is kept.
        if !self.is_over {
            drop(self.call.fail());
        }
    }
}

// A panic of the body leaves no inconsistent state here: the lease is given up.
impl UnwindSafe for Ongoing {}
impl UnwindSafe for Releasing {}

impl fmt::Debug for Releasing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Releasing").finish_non_exhaustive()
    }
}

impl fmt::Debug for Ongoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ongoing").finish_non_exhaustive()
    }
}
