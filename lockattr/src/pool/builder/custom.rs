//! Lock services from other crates.

use std::sync::Arc;

use super::{LockPoolBuilder, Target};
use crate::Error;
use crate::backend::{Backend, BackendError, Engine, OwnerIds, Patience, Service};
use crate::service_url::ServiceUrl;

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
        self.target = Some(Target::Service(Service::new(place, connect)));
        self
    }

    /// Lets a [`url`](Self::url) name a lock service of another crate, by its scheme. Unstable, as
    /// [`lockattr::backend`](crate::backend) is.
    ///
    /// # Examples
    ///
    /// See [`Engine`] for an example of one. With `lockattr-postgres` it is
    /// `.engine(lockattr_postgres::Postgres::new()).url("postgres://…")`.
    pub fn engine(mut self, engine: impl Engine) -> Self {
        self.engines.push(Arc::new(engine));
        self
    }

    /// Returns the service that one of the engines knows by this URL; `None` if none does.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for what is wrong with the URL.
    pub(super) fn service_of(&self, url: &ServiceUrl) -> Result<Option<Service>, Error> {
        let Some((scheme, _)) = url.scheme() else {
            return Ok(None);
        };
        // The latest one overrules the others.
        let mut engines = self.engines.iter().rev();
        let engine = engines.find(|engine| engine.schemes().contains(&scheme.as_str()));
        let patience = Patience::new(
            self.connect_timeout,
            self.response_timeout,
            self.default_ttl,
        );
        let service = engine.map(|engine| engine.service(url.text(), patience));
        service
            .transpose()
            .map_err(|reason| Error::config("url", reason))
    }
}
