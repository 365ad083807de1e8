//! A lock service from another crate.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::{LockPoolBuilder, Service};
use crate::Error;
use crate::backend::{Backend, BackendError, BackendErrorKind, OwnerIds};

type Connecting = Pin<Box<dyn Future<Output = Result<Box<dyn Backend>, BackendError>>>>;

/// How a pool connects to it.
#[derive(Clone)]
pub(super) struct CustomService {
    pub(super) place: Arc<str>,
    connect: Arc<dyn Fn(OwnerIds) -> Connecting + Send + Sync>,
}

impl LockPoolBuilder {
    /// Uses a lock service from another crate, in place of a [`url`](Self::url). Unstable, as
    /// [`lockattr::backend`](crate::backend) is.
    ///
    /// `place` is its name in errors and logs, so it must not hold a password. `connect` runs on
    /// the pool's I/O thread, in its tokio runtime, once for each [`build`](Self::build), and may
    /// take the [`connect_timeout`](Self::connect_timeout). An error that it returns becomes
    /// [`Error::Connect`].
    ///
    /// # Examples
    ///
    /// A service without any locks:
    ///
    /// ```
    /// use std::collections::VecDeque;
    /// use std::task::{Context, Poll};
    ///
    /// use lockattr::backend::{
    ///     Attempt, Backend, BackendError, BackendErrorKind, Capabilities, Event, Failure, OwnerIds,
    /// };
    ///
    /// #[derive(Default)]
    /// struct Closed(VecDeque<Event>);
    ///
    /// impl Backend for Closed {
    ///     fn capabilities(&self) -> Capabilities {
    ///         Capabilities::default()
    ///     }
    ///
    ///     fn submit(&mut self, attempt: Attempt) {
    ///         let error = BackendError::new(BackendErrorKind::Refused, "closed for today");
    ///         let failed = Failure::not_executed(error).lasting();
    ///         self.0.push_back(Event::Done(attempt.id(), Err(failed)));
    ///     }
    ///
    ///     fn poll_event(&mut self, _: &mut Context<'_>) -> Poll<Event> {
    ///         // Nothing comes but answers, so no waker is kept.
    ///         self.0.pop_front().map_or(Poll::Pending, Poll::Ready)
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// let pool = lockattr::LockPool::builder()
    ///     .backend("closed", |_: OwnerIds| async { Ok(Closed::default()) })
    ///     .build()
    ///     .await?;
    /// let error = pool.lock("order:42").acquire().await.unwrap_err();
    /// assert!(error.to_string().contains("closed for today"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn backend<B, F>(
        mut self,
        place: impl Into<Arc<str>>,
        connect: impl Fn(OwnerIds) -> F + Send + Sync + 'static,
    ) -> Self
    where
        B: Backend,
        F: Future<Output = Result<B, BackendError>> + 'static,
    {
        let connect = move |owners| -> Connecting {
            let connecting = connect(owners);
            Box::pin(async move { Ok(Box::new(connecting.await?) as Box<dyn Backend>) })
        };
        self.service = Some(Service::Custom(CustomService {
            place: place.into(),
            connect: Arc::new(connect),
        }));
        self
    }
}

impl CustomService {
    pub(super) async fn connect(
        self,
        owners: OwnerIds,
        within: Duration,
    ) -> Result<Box<dyn Backend>, Error> {
        let connected = tokio::time::timeout(within, (self.connect)(owners)).await;
        let too_late = || {
            let message = format!("no connection within {within:?}");
            Err(BackendError::new(BackendErrorKind::Timeout, message))
        };
        connected
            .unwrap_or_else(|_| too_late())
            .map_err(|source| Error::Connect {
                place: self.place,
                source,
            })
    }
}
