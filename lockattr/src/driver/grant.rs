//! The responsibility for a lease, from the moment that the server may have granted it.

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::Commands;
use crate::lease::Lease;
use crate::{Error, LossReason};

/// A lease on its way to the caller.
///
/// From the first attempt on, the I/O thread is responsible for what the server may have granted.
/// Dropping this future tells it that nobody wants the lease any longer. A grant that is already
/// in the channel is dropped with it, and releases itself.
#[derive(Debug)]
pub(crate) struct Acquiring {
    id: u64,
    answer: oneshot::Receiver<Result<Grant, Error>>,
    /// `None` once the answer is there.
    commands: Option<Commands>,
}

impl Acquiring {
    pub(super) fn new(
        id: u64,
        answer: oneshot::Receiver<Result<Grant, Error>>,
        commands: Commands,
    ) -> Self {
        Self {
            id,
            answer,
            commands: Some(commands),
        }
    }
}

impl Future for Acquiring {
    type Output = Result<Grant, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(cx).map(|answer| {
            self.commands = None;
            answer.unwrap_or(Err(Error::Closed))
        })
    }
}

impl Drop for Acquiring {
    fn drop(&mut self) {
        if let Some(commands) = self.commands.take() {
            commands.release(self.id, None);
        }
    }
}

/// Whoever has it is responsible for the lease; dropping it releases in the background.
#[derive(Debug)]
pub(crate) struct Grant {
    lease: Lease,
    is_released: bool,
}

impl Grant {
    pub(super) fn new(lease: Lease) -> Self {
        Self {
            lease,
            is_released: false,
        }
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Releases, and waits until the server has confirmed it or its first answer is overdue.
    ///
    /// The message is sent before the first await, so dropping the future does not stop it.
    pub(crate) async fn release(mut self) {
        let (done, confirmed) = oneshot::channel();
        self.send_release(Some(done));
        // An error means that the thread is gone, and with it everything there was to release.
        drop(confirmed.await);
    }

    fn send_release(&mut self, done: Option<oneshot::Sender<()>>) {
        if !mem::replace(&mut self.is_released, true) {
            self.lease.end(LossReason::Released);
            self.lease.commands().release(self.lease.id(), done);
        }
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.send_release(None);
    }
}
