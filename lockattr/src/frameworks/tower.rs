//! A lock around a service of tower.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::{fmt, mem};

use tower_layer::Layer;
use tower_service::Service;

use crate::{Error, LockRequest};

/// Locks the calls of a [tower](https://docs.rs/tower) service, for code that cannot have the attribute.
///
/// For each request a closure says which lock its call needs, with all options of a [`LockRequest`]; `None`
/// lets the call run without one. [`lockattr::current`](crate::current) returns the lease inside the service.
/// Another closure turns an [`Error`] into the answer, or into the service's own error.
///
/// The lock is held until the service has answered: while an HTTP body is still streamed, it is already
/// released.
///
/// # Cancel safety
///
/// The call's future may be dropped at any time: the inner call ends, and the lock is released.
///
/// # Examples
///
/// One request at a time for each `Idempotency-Key`; requests without one are not locked:
///
/// ```
/// # #[cfg(feature = "axum")]
/// # {
/// use axum_core::response::IntoResponse;
/// use lockattr::{Error, LockLayer, LockPool};
///
/// fn one_at_a_time<B>(pool: LockPool) -> LockLayer<
///     impl Fn(&http::Request<B>) -> Option<lockattr::LockRequest>,
///     impl Fn(Error) -> Result<axum_core::response::Response, std::convert::Infallible>,
/// > {
///     LockLayer::new(
///         move |request: &http::Request<B>| {
///             let id = request.headers().get("idempotency-key")?.to_str().ok()?;
///             Some(pool.lock(lockattr::key!("request:{id}")))
///         },
///         |error| Ok(error.into_response()),
///     )
/// }
/// # }
/// ```
pub struct LockLayer<L, E> {
    lock: Arc<L>,
    on_error: Arc<E>,
}

impl<L, E> LockLayer<L, E> {
    /// Locks what `lock` returns for a request; `on_error` answers when the lock is not acquired, or lost.
    /// See [`LockLayer`] for an example.
    pub fn new<Request, Answer>(lock: L, on_error: E) -> Self
    where
        L: Fn(&Request) -> Option<LockRequest>,
        E: Fn(Error) -> Answer,
    {
        Self {
            lock: Arc::new(lock),
            on_error: Arc::new(on_error),
        }
    }
}

impl<S, L, E> Layer<S> for LockLayer<L, E> {
    type Service = LockService<S, L, E>;

    fn layer(&self, inner: S) -> Self::Service {
        LockService {
            inner,
            layer: self.clone(),
        }
    }
}

/// A service whose calls are locked, made by [`LockLayer`].
#[derive(Clone)]
pub struct LockService<S, L, E> {
    inner: S,
    layer: LockLayer<L, E>,
}

impl<S, L, E, Request> Service<Request> for LockService<S, L, E>
where
    S: Service<Request> + Clone + Send + 'static,
    S::Future: Send,
    S::Response: Send,
    S::Error: Send,
    Request: Send + 'static,
    L: Fn(&Request) -> Option<LockRequest>,
    E: Fn(Error) -> Result<S::Response, S::Error> + Send + Sync + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let lock = (self.layer.lock)(&request);
        let on_error = Arc::clone(&self.layer.on_error);
        // The one that is ready makes the call; its clone need not be.
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        Box::pin(async move {
            let Some(lock) = lock else {
                return inner.call(request).await;
            };
            match lock.run(move |_| inner.call(request)).await {
                Ok(answer) => answer,
                Err(error) => on_error(error),
            }
        })
    }
}

// Derived, it would ask for closures that are `Clone`.
impl<L, E> Clone for LockLayer<L, E> {
    fn clone(&self) -> Self {
        Self {
            lock: Arc::clone(&self.lock),
            on_error: Arc::clone(&self.on_error),
        }
    }
}

impl<L, E> fmt::Debug for LockLayer<L, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockLayer").finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, L, E> fmt::Debug for LockService<S, L, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
