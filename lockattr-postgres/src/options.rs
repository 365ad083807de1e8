//! The settings that only `PostgreSQL` has.

use std::sync::Arc;

use lockattr::backend::{BackendError, BackendErrorKind, Engine, OwnerIds, Patience, Service};

use crate::backend::PostgresBackend;
use crate::url::Url;

/// The engine for URLs that begin with `postgres://` or `postgresql://`, for
/// [`LockPoolBuilder::engine`](lockattr::LockPoolBuilder::engine).
///
/// A URL is `postgres://[user[:password]@]host[:port][,host…]/database[?parameters]`, as `libpq` has it. Its
/// parameters are `schema`, the schema of the locks (`lockattr` unless set); `sslmode=require` (feature `tls`), which
/// checks the server's certificate and name; and those of
/// [`tokio_postgres::Config`](https://docs.rs/tokio-postgres/latest/tokio_postgres/config/struct.Config.html).
/// Only a server that takes writes is used, so `target_session_attrs` need not be set.
///
/// # Examples
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lockattr::Error> {
/// use lockattr::LockPool;
/// use lockattr_postgres::Postgres;
///
/// let pool = LockPool::builder()
///     .engine(Postgres::new())
///     .url("postgres://app@db.internal/shop?schema=locks")
///     .build()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Postgres {
    pub(crate) creates_schema: bool,
    pub(crate) connections: Option<usize>,
    pub(crate) is_pooled: Option<bool>,
    pub(crate) listen_url: Option<Secret>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
}

/// A URL with its password.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) Arc<str>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl Postgres {
    /// The defaults.
    ///
    /// # Examples
    ///
    /// ```
    /// let builder = lockattr::LockPool::builder().engine(lockattr_postgres::Postgres::new());
    /// # drop(builder);
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether to make the schema at the start where it is missing, and to bring an older one up to date. The user
    /// needs the right to do that: `CREATE` on the database. Defaults to false: then [`schema_sql`](crate::schema_sql)
    /// is the text for your own migrations.
    ///
    /// # Examples
    ///
    /// ```
    /// let engine = lockattr_postgres::Postgres::new().create_schema(true);
    /// # drop(engine);
    /// ```
    #[must_use]
    pub fn create_schema(mut self, creates: bool) -> Self {
        self.creates_schema = creates;
        self
    }

    /// How many connections the pool has; each key always takes the same one. Defaults to 1, at least 1. Two are worth
    /// about a quarter more throughput to a process that is busy with locks alone.
    ///
    /// # Examples
    ///
    /// ```
    /// let engine = lockattr_postgres::Postgres::new().connections(2);
    /// # drop(engine);
    /// ```
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = Some(connections.max(1));
        self
    }

    /// Whether the URL leads to a pooler in transaction mode. Unless set, the pool finds out at its start, by two
    /// connections that share a server process.
    ///
    /// # Examples
    ///
    /// ```
    /// let engine = lockattr_postgres::Postgres::new().pooled(true);
    /// # drop(engine);
    /// ```
    #[must_use]
    pub fn pooled(mut self, is_pooled: bool) -> Self {
        self.is_pooled = Some(is_pooled);
        self
    }

    /// A way to the same database that is no pooler's, for one more connection: there the pool listens for its turns.
    ///
    /// # Examples
    ///
    /// ```
    /// let engine = lockattr_postgres::Postgres::new().listen_url("postgres://app@db.internal:5432/shop");
    /// # drop(engine);
    /// ```
    #[must_use]
    pub fn listen_url(mut self, url: &str) -> Self {
        self.listen_url = Some(Secret(url.into()));
        self
    }

    /// The TLS settings of the program, for `sslmode=require`: root certificates, a client certificate. Defaults to the
    /// platform's root certificates.
    ///
    /// # Examples
    ///
    /// ```
    /// let settings = rustls::ClientConfig::builder()
    ///     .with_root_certificates(rustls::RootCertStore::empty())
    ///     .with_no_client_auth();
    /// let engine = lockattr_postgres::Postgres::new().tls(settings);
    /// # drop(engine);
    /// ```
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    #[must_use]
    pub fn tls(mut self, settings: rustls::ClientConfig) -> Self {
        self.tls = Some(Arc::new(settings));
        self
    }
}

impl Engine for Postgres {
    fn schemes(&self) -> &'static [&'static str] {
        &["postgres", "postgresql"]
    }

    fn service(&self, url: &str, patience: Patience) -> Result<Service, String> {
        let url = Url::parse(url, patience.connect)?;
        let listen = self
            .listen_url
            .as_ref()
            .map(|Secret(url)| Url::parse(url, patience.connect))
            .transpose()
            .map_err(|reason| format!("of `listen_url`: {reason}"))?;
        if listen.as_ref().is_some_and(|it| it.has_schema) {
            return Err("`listen_url` must not name a schema: it has that of the url".to_owned());
        }
        let tls = crate::tls::Tls::new(self, [Some(&url), listen.as_ref()])?;
        let place = url.place.clone();
        let options = self.clone();
        Ok(Service::new(place, move |owners: OwnerIds| {
            let (url, listen, tls) = (url.clone(), listen.clone(), tls.clone());
            let options = options.clone();
            async move { PostgresBackend::connect(&options, url, listen, tls, owners, patience).await }
        }))
    }
}

pub(crate) fn refused(message: impl AsRef<str>) -> BackendError {
    BackendError::new(BackendErrorKind::Refused, message)
}
