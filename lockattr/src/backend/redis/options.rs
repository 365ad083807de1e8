//! The settings that only a Redis server has.

#[cfg(feature = "tls")]
use super::tls::{ClientIdentity, TlsSettings};
use std::fmt;
use std::time::Duration;

use crate::Error;
use crate::timing::{DEFAULT_CONFIRM_WITHIN, DEFAULT_MEMBER_TIMEOUT, MAX_TTL};

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
    pub(crate) confirm_replicas: u8,
    pub(crate) confirm_fsync: bool,
    pub(crate) confirm_within: Duration,
    pub(crate) member_timeout: Duration,
    pub(crate) restart_delay: Duration,
    #[cfg(feature = "tls")]
    pub(super) tls: TlsSettings,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            prefix: "lockattr".to_owned(),
            connections: 1,
            strict: false,
            confirm_replicas: 0,
            confirm_fsync: false,
            confirm_within: DEFAULT_CONFIRM_WITHIN,
            member_timeout: DEFAULT_MEMBER_TIMEOUT,
            restart_delay: Duration::ZERO,
            #[cfg(feature = "tls")]
            tls: TlsSettings::default(),
        }
    }
}

impl RedisOptions {
    /// The defaults.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = lockattr::RedisOptions::new();
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// What every name on the server begins with; fleets with different prefixes do not exclude
    /// each other. Defaults to `lockattr`.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = lockattr::RedisOptions::new().prefix("shop");
    /// ```
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Multiplexed connections to the server; the locks are spread over them. Defaults to 1,
    /// which carries tens of thousands of locks a second. A cluster has one connection to each master.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = lockattr::RedisOptions::new().connections(4);
    /// ```
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// Refuses to start where [`doctor`](crate::doctor()) finds a
    /// [`Warning`](crate::Severity::Warning), instead of tracing it: locks can be lost (eviction, no
    /// persistence, no messages behind a proxy) or fail soon. Defaults to false.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = lockattr::RedisOptions::new().strict(true);
    /// ```
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// How many replicas must have a grant before it counts; 0 for none, which is the default. Calls may
    /// set their own.
    ///
    /// A replica that becomes the master goes on with what it has. So a lease that it has is not granted
    /// a second time by it, see `docs/deployments.md` for the limits. The pool asks by `WAIT`, which
    /// blocks, on connections of its own; a confirmed grant takes one round trip more, and the time until
    /// the replicas have answered. Renewals, extensions and more tokens are confirmed too. What is not
    /// confirmed in time is given back, and the call fails with an [`Error::Backend`] of the kind
    /// [`Unconfirmed`](crate::BackendErrorKind::Unconfirmed), or asks anew while its `wait` lasts.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), lockattr::Error> {
    /// use lockattr::RedisOptions;
    ///
    /// let pool = lockattr::LockPool::builder()
    ///     .url("redis+sentinel://a,b,c/mymaster")
    ///     .redis(RedisOptions::new().confirm_replicas(1))
    ///     .build()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn confirm_replicas(mut self, replicas: u8) -> Self {
        self.confirm_replicas = replicas;
        self
    }

    /// Whether a grant must be in the append-only file, on the disk, before it counts: of the server,
    /// and of as many replicas as [`confirm_replicas`](Self::confirm_replicas) asks for. Then the
    /// server can be killed and restarted without forgetting the lease. Calls may set their own.
    /// Defaults to false.
    ///
    /// The pool asks by `WAITAOF`, which Redis has since 7.2, and Valkey. A server that lacks it, or has
    /// `appendonly no`, is refused with [`Error::Config`]. With `appendfsync everysec` it takes up to a
    /// second, for which [`confirm_within`](Self::confirm_within) must leave time.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = lockattr::RedisOptions::new().confirm_fsync(true);
    /// ```
    pub fn confirm_fsync(mut self, fsync: bool) -> Self {
        self.confirm_fsync = fsync;
        self
    }

    /// How long the confirmation of a grant or a renewal may take, once the server has executed it. At
    /// most a quarter of the ttl counts. Defaults to 500 ms.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let options = lockattr::RedisOptions::new().confirm_replicas(1).confirm_within(Duration::from_millis(200));
    /// ```
    pub fn confirm_within(mut self, time: Duration) -> Self {
        self.confirm_within = time;
        self
    }

    /// Of a quorum (`redis+quorum://`): how long one server may take for an answer before the others go on
    /// without it, if they can. At most an eighth of the ttl counts. A server that is slow or away costs this
    /// once; until it answers in time again, nothing waits for it. Defaults to 100 ms.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let options = lockattr::RedisOptions::new().member_timeout(Duration::from_millis(50));
    /// ```
    pub fn member_timeout(mut self, timeout: Duration) -> Self {
        self.member_timeout = timeout;
        self
    }

    /// Of a quorum (`redis+quorum://`): how long a server has no vote after its start. Set it to the longest
    /// ttl of any call where a restart can forget locks (without AOF, or with `appendfsync everysec`): then
    /// all leases have ended that the server may have forgotten. Defaults to 0, for servers that forget nothing.
    ///
    /// The pool asks the server for its uptime whenever it connects, which takes the right to `INFO`;
    /// without it, [`build`](crate::LockPoolBuilder::build) fails with [`Error::Config`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), lockattr::Error> {
    /// use std::time::Duration;
    ///
    /// use lockattr::RedisOptions;
    ///
    /// let pool = lockattr::LockPool::builder()
    ///     .url("redis+quorum://a,b,c")
    ///     .redis(RedisOptions::new().restart_delay(Duration::from_secs(60)))
    ///     .build()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn restart_delay(mut self, delay: Duration) -> Self {
        self.restart_delay = delay;
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
        if !(Duration::from_millis(1)..=MAX_TTL).contains(&self.confirm_within) {
            let reason = format!("{:?} is not between 1ms and 24h", self.confirm_within);
            return Err(Error::config("confirm_within", reason));
        }
        for (setting, set, least) in [
            (
                "member_timeout",
                self.member_timeout,
                Duration::from_millis(1),
            ),
            ("restart_delay", self.restart_delay, Duration::ZERO),
        ] {
            if !(least..=MAX_TTL).contains(&set) {
                let reason = format!("{set:?} is not between {least:?} and 24h");
                return Err(Error::config(setting, reason));
            }
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
            .field("confirm_replicas", &self.confirm_replicas)
            .field("confirm_fsync", &self.confirm_fsync)
            .field("confirm_within", &self.confirm_within)
            .field("member_timeout", &self.member_timeout)
            .field("restart_delay", &self.restart_delay)
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
            (options().confirm_within(Duration::ZERO), "confirm_within"),
            (options().confirm_within(Duration::MAX), "confirm_within"),
            (options().member_timeout(Duration::ZERO), "member_timeout"),
            (options().restart_delay(Duration::MAX), "restart_delay"),
        ] {
            let refused = options.check().unwrap_err();
            assert!(
                matches!(&refused, Error::Config { setting: named, .. } if *named == setting),
                "{refused}"
            );
        }
    }
}
