//! The settings that only a Redis server has.

#[cfg(feature = "tls")]
use super::tls::{ClientIdentity, TlsSettings};
use std::fmt;

use crate::Error;

/// More would never be used: a key belongs to one of so many buckets, and a bucket to a connection.
const MOST_CONNECTIONS: usize = 1024;

/// The settings of a pool that only a Redis or Valkey server has, for
/// [`LockPoolBuilder::redis`](crate::LockPoolBuilder::redis).
///
/// # Examples
///
/// ```no_run
/// # async fn start() -> Result<(), lockattr::Error> {
/// use lockattr::RedisOptions;
///
/// lockattr::LockPool::builder()
///     .url("redis://127.0.0.1/")
///     .redis(RedisOptions::new().prefix("shop").strict(true))
///     .install()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "settings do nothing until `LockPoolBuilder::redis`"]
pub struct RedisOptions {
    pub(crate) prefix: String,
    pub(crate) connections: usize,
    pub(crate) strict: bool,
    #[cfg(feature = "tls")]
    pub(super) tls: TlsSettings,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            prefix: "lockattr".to_owned(),
            connections: 1,
            strict: false,
            #[cfg(feature = "tls")]
            tls: TlsSettings::default(),
        }
    }
}

impl RedisOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// What every name on the server begins with; fleets with different prefixes do not exclude
    /// each other. Defaults to `lockattr`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Multiplexed connections to the server; the locks are spread over them. Defaults to 1,
    /// which carries tens of thousands of locks a second. A cluster has one connection to each master.
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// Refuses to start where [`doctor`](crate::doctor()) finds a
    /// [`Warning`](crate::Severity::Warning), instead of tracing it: locks can be lost (eviction, no
    /// persistence, no messages behind a proxy) or fail soon. Defaults to false.
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// The certificates, as PEM, that may have signed the server's, in place of the platform's
    /// (feature `tls`). For a server of a private CA. Defaults to the platform's, which the variables
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR` name too.
    ///
    /// Without one, with a broken one, and for a server without TLS (`redis://`),
    /// [`build`](crate::LockPoolBuilder::build) fails with [`Error::Config`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// let authority = std::fs::read("/etc/shop/ca.pem")?;
    /// let pool = lockattr::LockPool::builder()
    ///     .url("rediss://redis.internal:6380/")
    ///     .redis(lockattr::RedisOptions::new().tls_root_certificates(authority))
    ///     .build()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls_root_certificates(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.tls.root_certificates = Some(pem.as_ref().into());
        self
    }

    /// The certificate, or chain of them, that the server gets to see, and its private key, both as
    /// PEM (feature `tls`). For a server that asks for one; that is what Redis does unless its
    /// `tls-auth-clients` is `no`. Defaults to none. The key is never printed.
    ///
    /// Without a certificate or a key in the PEM, and for a server without TLS (`redis://`),
    /// [`build`](crate::LockPoolBuilder::build) fails with [`Error::Config`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// let certificate = std::fs::read("/etc/shop/client.pem")?;
    /// let key = std::fs::read("/etc/shop/client.key")?;
    /// let pool = lockattr::LockPool::builder()
    ///     .url("rediss://redis.internal:6380/")
    ///     .redis(lockattr::RedisOptions::new().tls_client_identity(certificate, key))
    ///     .build()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls_client_identity(
        mut self,
        certificates: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Self {
        self.tls.client_identity = Some(ClientIdentity {
            certificates: certificates.as_ref().into(),
            key: key.as_ref().into(),
        });
        self
    }

    /// # Errors
    ///
    /// [`Error::Config`] naming the setting that is wrong.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let is_wrong = |c: char| c.is_control() || matches!(c, '{' | '}' | ' ');
        if self.prefix.is_empty() || self.prefix.contains(is_wrong) {
            return Err(Error::config(
                "prefix",
                "it must not be empty, nor hold braces, blanks or control characters",
            ));
        }
        match self.connections {
            0 => Err(Error::config("connections", "it must not be zero")),
            1..=MOST_CONNECTIONS => Ok(()),
            many => {
                let reason = format!("{many} is more than {MOST_CONNECTIONS}");
                Err(Error::config("connections", reason))
            }
        }
    }
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("prefix", &self.prefix)
            .field("connections", &self.connections)
            .field("strict", &self.strict)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_settings_are_refused() {
        let options = RedisOptions::new;
        for (options, setting) in [
            (options().prefix(""), "prefix"),
            (options().prefix("a{b"), "prefix"),
            (options().connections(0), "connections"),
            (options().connections(usize::MAX), "connections"),
        ] {
            let refused = options.check().unwrap_err();
            assert!(
                matches!(&refused, Error::Config { setting: named, .. } if *named == setting),
                "{refused}"
            );
        }
    }
}
