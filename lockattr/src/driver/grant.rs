//! The responsibility for a lease, from the moment that the server may have granted it.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::Commands;
use crate::Error;
use crate::key::Key;
use crate::lease::{Lease, Tenure};

/// A lease on its way to the caller.
///
/// From the first attempt on, the I/O thread is responsible for what the server may have granted.
/// Dropping this future gives the place in the local queue up. A grant that is already in the
/// channel is dropped with it, and passes itself on.
#[derive(Debug)]
pub(crate) struct Acquiring {
    answer: oneshot::Receiver<Result<Grant, Error>>,
    /// `None` once the answer is there.
    place: Option<Place>,
}

#[derive(Debug)]
struct Place {
    key: Key,
    waiter: u64,
    commands: Commands,
}

impl Acquiring {
    pub(super) fn new(
        answer: oneshot::Receiver<Result<Grant, Error>>,
        key: Key,
        waiter: u64,
        commands: Commands,
    ) -> Self {
        let place = Place {
            key,
            waiter,
            commands,
        };
        Self {
            answer,
            place: Some(place),
        }
    }

    /// Of one that is not in the queue; its answer is there.
    pub(super) fn refused(answer: oneshot::Receiver<Result<Grant, Error>>) -> Self {
        Self {
            answer,
            place: None,
        }
    }
}

impl Future for Acquiring {
    type Output = Result<Grant, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(cx).map(|answer| {
            self.place = None;
            answer.unwrap_or(Err(Error::Closed))
        })
    }
}

impl Drop for Acquiring {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            place.commands.leave(&place.key, place.waiter);
        }
    }
}

/// Whoever has it is responsible for the lease; dropping it releases in the background.
#[derive(Debug)]
pub(crate) struct Grant {
    lease: Lease,
    is_over: bool,
}

impl Grant {
    pub(super) fn new(lease: Lease) -> Self {
        Self {
            lease,
            is_over: false,
        }
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Passes the lease on to the next one in this process, or releases it and waits until the
    /// server has confirmed that or its first answer is overdue.
    ///
    /// All of it is under way before the first await, so dropping the future does not stop it.
    pub(crate) async fn release(mut self) {
        if let Some((commands, tenure)) = self.finish() {
            let (done, confirmed) = oneshot::channel();
            commands.give_back(tenure, Some(done));
            // An error means that the thread is gone, and with it everything there was to release.
            drop(confirmed.await);
        }
    }

    /// What there is to be given up to others, the first time.
    fn finish(&mut self) -> Option<(&Commands, &Arc<Tenure>)> {
        // A forked process has a copy of the grant; the lease is its parent's.
        if mem::replace(&mut self.is_over, true) || self.lease.commands().is_forked() {
            return None;
        }
        self.lease.release();
        Some((self.lease.commands(), self.lease.tenure()))
    }

    /// Of a grant that could not be delivered: somebody else has the lease.
    pub(super) fn forget(mut self) {
        self.is_over = true;
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        if let Some((commands, tenure)) = self.finish() {
            commands.give_back(tenure, None);
        }
    }
}
