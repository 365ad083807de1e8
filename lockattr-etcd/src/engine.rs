//! `etcd://` and `etcds://`, for a pool's builder.

use std::fmt;
use std::time::Duration;

use lockattr::backend::{Engine, Patience, Service};

use crate::address::Address;
use crate::backend::EtcdBackend;
use crate::link::Dialer;
use crate::names::Names;
use crate::tls::{Tls, Trust};

const DEFAULT_PREFIX: &str = "lockattr";
/// As long as a key may be.
const LONGEST_PREFIX: usize = 1024;

/// etcd, version 3.4 or newer, as the lock service of pools with a URL of the scheme `etcd` or, with TLS,
/// `etcds`: `etcd://user:password@one:2379,two:2379,three:2379`. Without a port it is 2379; without a user
/// no user logs in. The members are tried in this order, and one is used at a time. A path is the
/// [`prefix`](Self::prefix), `etcd://one,two,three/shop/locks`.
///
/// # Examples
///
/// ```no_run
/// use lockattr::LockPool;
/// use lockattr_etcd::Etcd;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lockattr::Error> {
/// LockPool::builder()
///     .engine(Etcd::new().prefix("shop/locks"))
///     .url("etcd://etcd-1.internal,etcd-2.internal,etcd-3.internal")
///     .install()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Etcd {
    prefix: String,
    trust: Trust,
}

impl Etcd {
    /// etcd with the prefix `lockattr`, whose members are trusted if the system trusts their
    /// certificates.
    ///
    /// # Examples
    ///
    /// ```
    /// let builder = lockattr::LockPool::builder().engine(lockattr_etcd::Etcd::new());
    /// ```
    pub fn new() -> Self {
        Self {
            prefix: DEFAULT_PREFIX.to_owned(),
            trust: Trust::default(),
        }
    }

    /// Sets the beginning of all names in etcd, which a `/` follows. Pools with different prefixes have
    /// different locks. What begins so belongs to the locks alone. 1 to 1024 bytes. The path of a URL overrules it.
    ///
    /// # Examples
    ///
    /// ```
    /// use lockattr::LockPool;
    /// use lockattr_etcd::Etcd;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let builder = LockPool::builder().engine(Etcd::new().prefix("")).url("etcd://localhost");
    /// let error = builder.build().await.unwrap_err();
    /// assert!(error.to_string().contains("prefix"), "{error}");
    /// # }
    /// ```
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// For `etcds`: trusts the members whose certificates this authority has signed, and no others. The
    /// certificate is PEM.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> std::io::Result<()> {
    /// let authority = std::fs::read_to_string("/etc/ssl/etcd/ca.pem")?;
    /// let etcd = lockattr_etcd::Etcd::new().authority(authority);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn authority(mut self, pem: impl Into<String>) -> Self {
        self.trust.authority = Some(pem.into());
        self
    }

    /// For `etcds`: shows this certificate, for members that ask for one (`--client-cert-auth`). Both are
    /// PEM.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> std::io::Result<()> {
    /// use std::fs::read_to_string;
    ///
    /// let (certificate, key) = (read_to_string("app.pem")?, read_to_string("app.key")?);
    /// let etcd = lockattr_etcd::Etcd::new().identity(certificate, key);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn identity(mut self, certificate: impl Into<String>, key: impl Into<String>) -> Self {
        self.trust.identity = Some((certificate.into(), key.into()));
        self
    }
}

fn check_prefix(prefix: &str) -> Result<(), String> {
    let is_sound =
        (1..=LONGEST_PREFIX).contains(&prefix.len()) && !prefix.chars().any(char::is_control);
    if is_sound {
        return Ok(());
    }
    Err("the prefix is empty, too long, or holds a control character".to_owned())
}

impl Default for Etcd {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Etcd {
    /// Without keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Etcd")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl Engine for Etcd {
    fn schemes(&self) -> &'static [&'static str] {
        &["etcd", "etcds"]
    }

    fn service(&self, url: &str, patience: Patience) -> Result<Service, String> {
        let address = Address::parse(url)?;
        let prefix = address.prefix.as_ref().unwrap_or(&self.prefix);
        check_prefix(prefix)?;
        let tls = Tls::new(address.tls, &self.trust)?;
        let names = Names::new(prefix);
        let place = address.to_string();
        let connect = move |_| {
            let dialer = Dialer {
                within: within(patience, address.members.len()),
                address: address.clone(),
                tls: tls.clone(),
                probe: names.probe(),
            };
            EtcdBackend::connect(dialer, names.clone(), patience.response)
        };
        Ok(Service::new(place, connect))
    }
}

/// How long one member may take: a silent one must leave time for the others.
fn within(patience: Patience, members: usize) -> Duration {
    let members = u32::try_from(members).unwrap_or(u32::MAX);
    (patience.connect / members).max(Duration::from_millis(100))
}
