//! Lock services of other crates, which a pool finds by the scheme of its URL.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::{Backend, BackendError, BackendErrorKind, OwnerIds};
use crate::Error;
use crate::timing::MAX_TTL;

/// A kind of lock service that another crate adds, such as `lockattr-postgres`.
/// [`LockPoolBuilder::engine`](crate::LockPoolBuilder::engine) takes it.
///
/// # Examples
///
/// ```
/// use lockattr::LockPool;
/// use lockattr::backend::{Backend, BackendError, BackendErrorKind, Engine, OwnerIds, Patience, Service};
///
/// #[derive(Debug)]
/// struct Abacus;
///
/// impl Engine for Abacus {
///     fn schemes(&self) -> &'static [&'static str] {
///         &["abacus"]
///     }
///
///     fn service(&self, url: &str, _: Patience) -> Result<Service, String> {
///         let shelf = url.strip_prefix("abacus://").filter(|it| !it.is_empty());
///         let shelf = shelf.ok_or("it names no shelf; write abacus://shelf")?.to_owned();
///         Ok(Service::new(url, move |_: OwnerIds| {
///             let error = format!("there is no abacus on {shelf}");
///             async { Err::<Box<dyn Backend>, _>(BackendError::new(BackendErrorKind::Unreachable, error)) }
///         }))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let builder = LockPool::builder().engine(Abacus);
/// let error = builder.clone().url("abacus://attic").build().await.unwrap_err();
/// assert!(error.to_string().contains("no abacus on attic"));
/// let error = builder.url("abacus://").build().await.unwrap_err();
/// assert!(error.to_string().contains("write abacus://shelf"));
/// # }
/// ```
pub trait Engine: fmt::Debug + Send + Sync + 'static {
    /// Returns the schemes of its URLs, in lower case.
    fn schemes(&self) -> &'static [&'static str];

    /// Reads a URL that has one of these schemes.
    ///
    /// # Errors
    ///
    /// What is wrong with the URL, and how to write it: it becomes the reason of an
    /// [`Error::Config`](crate::Error::Config). It must hold no credential.
    fn service(&self, url: &str, patience: Patience) -> Result<Service, String>;
}

/// The times of a pool that its engine has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Patience {
    /// [`LockPoolBuilder::connect_timeout`](crate::LockPoolBuilder::connect_timeout), which the pool keeps
    /// itself at its start.
    pub connect: Duration,
    /// [`LockPoolBuilder::response_timeout`](crate::LockPoolBuilder::response_timeout): for so long a
    /// connection on which something was asked may be silent.
    pub response: Duration,
    /// [`LockPoolBuilder::default_ttl`](crate::LockPoolBuilder::default_ttl): an engine that cannot keep
    /// leases for so long says so when the pool connects.
    pub default_ttl: Duration,
}

impl Patience {
    /// No engine waits for longer than a day: a deadline in the far future overflows.
    pub(crate) fn new(connect: Duration, response: Duration, default_ttl: Duration) -> Self {
        Self {
            connect: connect.min(MAX_TTL),
            response: response.min(MAX_TTL),
            default_ttl,
        }
    }
}

pub(crate) type Connecting = Pin<Box<dyn Future<Output = Result<Box<dyn Backend>, BackendError>>>>;
pub(crate) type Connect = Arc<dyn Fn(OwnerIds) -> Connecting + Send + Sync>;

/// Hides of which type a backend is.
pub(crate) fn boxed<B, F>(connect: impl Fn(OwnerIds) -> F + Send + Sync + 'static) -> Connect
where
    B: Backend,
    F: Future<Output = Result<B, BackendError>> + 'static,
{
    Arc::new(move |owners| -> Connecting {
        let connecting = connect(owners);
        Box::pin(async move { Ok(Box::new(connecting.await?) as Box<dyn Backend>) })
    })
}

/// A lock service, and how a pool connects to it.
#[derive(Clone)]
pub struct Service {
    place: Arc<str>,
    connect: Connect,
}

impl Service {
    /// `place` is its name in errors and logs, so it must hold no credential. `connect` is called as that of
    /// [`LockPoolBuilder::backend`](crate::LockPoolBuilder::backend).
    pub fn new<B, F>(
        place: impl Into<Arc<str>>,
        connect: impl Fn(OwnerIds) -> F + Send + Sync + 'static,
    ) -> Self
    where
        B: Backend,
        F: Future<Output = Result<B, BackendError>> + 'static,
    {
        Self {
            place: place.into(),
            connect: boxed(connect),
        }
    }

    /// # Errors
    ///
    /// [`Error::Connect`].
    pub(crate) async fn connect(
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

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Service").field(&self.place).finish()
    }
}
