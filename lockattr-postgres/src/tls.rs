//! Plain and encrypted connections.

use std::sync::atomic::Ordering;
use std::time::Duration;

use lockattr::backend::{BackendError, BackendErrorKind};
use tokio::time::Instant;
use tokio_postgres::{CancelToken, Client, Config, Error, NoTls};

use crate::failure;
use crate::options::Postgres;
use crate::url::Url;

/// How connections are encrypted, if they are.
#[derive(Clone)]
pub(crate) struct Tls {
    #[cfg(feature = "tls")]
    rustls: Option<tokio_postgres_rustls::MakeRustlsConnect>,
}

/// What a new connection sends and hears, until it ends.
pub(crate) type Traffic =
    futures_util::stream::BoxStream<'static, Result<tokio_postgres::AsyncMessage, Error>>;

impl Tls {
    /// # Errors
    ///
    /// What is missing for the TLS that the URLs ask for.
    #[cfg(not(feature = "tls"))]
    pub(crate) fn new(_: &Postgres, urls: [Option<&Url>; 2]) -> Result<Self, String> {
        if urls.into_iter().flatten().any(|url| url.is_encrypted) {
            return Err(
                "`sslmode=require` needs the feature `tls` of lockattr-postgres".to_owned(),
            );
        }
        Ok(Self {})
    }

    /// # Errors
    ///
    /// What is missing for the TLS that the URLs ask for.
    #[cfg(feature = "tls")]
    pub(crate) fn new(options: &Postgres, urls: [Option<&Url>; 2]) -> Result<Self, String> {
        if !urls.into_iter().flatten().any(|url| url.is_encrypted) {
            return Ok(Self { rustls: None });
        }
        let settings = match &options.tls {
            Some(settings) => rustls::ClientConfig::clone(settings),
            None => platform_settings()?,
        };
        let rustls = tokio_postgres_rustls::MakeRustlsConnect::new(settings);
        Ok(Self {
            rustls: Some(rustls),
        })
    }

    /// Connects to the first of the servers that takes writes, from the one that did so last. Each has its part of the time,
    /// so that one that is silent does not keep those behind it from their turn.
    ///
    /// # Errors
    ///
    /// What the last server said, when none takes the connection.
    pub(crate) async fn connect(
        &self,
        url: &Url,
        within: Duration,
    ) -> Result<(Client, Traffic), BackendError> {
        let end = Instant::now() + within;
        let count = url.servers.len();
        let first = url.latest.load(Ordering::Relaxed);
        let mut last = failure::silent();
        for n in 0..count {
            let left = u32::try_from(count - n).unwrap_or(u32::MAX);
            let part = end.saturating_duration_since(Instant::now()) / left;
            let place = (first + n) % count;
            match tokio::time::timeout(part, self.connect_to(&url.servers[place])).await {
                Ok(Ok(connected)) => {
                    url.latest.store(place, Ordering::Relaxed);
                    return Ok(connected);
                }
                Ok(Err(error)) => last = failure::of(&error),
                Err(_) => {
                    let text = format!("no connection within {part:.0?}");
                    last = BackendError::new(BackendErrorKind::Timeout, text);
                }
            }
        }
        Err(last)
    }

    async fn connect_to(&self, config: &Config) -> Result<(Client, Traffic), Error> {
        #[cfg(feature = "tls")]
        if let Some(rustls) = &self.rustls {
            let (client, connection) = config.connect(rustls.clone()).await?;
            return Ok((client, traffic(connection)));
        }
        let (client, connection) = config.connect(NoTls).await?;
        Ok((client, traffic(connection)))
    }

    /// Asks the server to stop what it does for a connection that is given up.
    pub(crate) async fn cancel(&self, token: CancelToken) -> Result<(), Error> {
        #[cfg(feature = "tls")]
        if let Some(rustls) = &self.rustls {
            return token.cancel_query(rustls.clone()).await;
        }
        token.cancel_query(NoTls).await
    }
}

fn traffic<S, T>(mut connection: tokio_postgres::Connection<S, T>) -> Traffic
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    Box::pin(futures_util::stream::poll_fn(move |cx| {
        connection.poll_message(cx)
    }))
}

#[cfg(feature = "tls")]
fn platform_settings() -> Result<rustls::ClientConfig, String> {
    let mut roots = rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err(
            "there are no root certificates on this machine; call `Postgres::tls`".to_owned(),
        );
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let settings = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?;
    Ok(settings.with_root_certificates(roots).with_no_client_auth())
}
