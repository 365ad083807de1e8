//! The settings of the engine.

use std::time::Duration;

use lockattr::backend::{Engine, Patience, Service};

use crate::backend::ZooKeeperBackend;
use crate::dialer::Dialer;
use crate::url::Ensemble;

/// Locks on `ZooKeeper`, for pools whose URL begins with `zookeeper://` or `zk://`.
///
/// The URL is `zookeeper://[user:password@]host[:2181],host…[/chroot]`. Without a chroot the locks are
/// under `/lockattr`. With a user, that user alone may see and change the nodes (digest authentication).
///
/// A pool whose [`default_ttl`](lockattr::LockPoolBuilder::default_ttl) is longer than half of the ensemble's
/// `maxSessionTimeout` does not start. Without both settings that is so: 30 s, and half of 40 s.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use lockattr::LockPool;
/// use lockattr_zookeeper::ZooKeeper;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let builder = LockPool::builder().engine(ZooKeeper::new());
/// let builder = builder.default_ttl(Duration::from_secs(10));
/// let builder = builder.url("zookeeper://zk-1,zk-2,zk-3/shop/locks");
/// # let builder = LockPool::builder().engine(ZooKeeper::new()).url("zookeeper://zk-1/a?b");
/// # let error =
/// builder.build().await
/// #     .unwrap_err();
/// # assert!(error.to_string().contains("no chroot"), "{error}");
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct ZooKeeper {
    pub(crate) least_session_timeout: Duration,
}

impl ZooKeeper {
    /// Creates the engine with its defaults.
    ///
    /// # Examples
    ///
    /// ```
    /// let builder = lockattr::LockPool::builder().engine(lockattr_zookeeper::ZooKeeper::new());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes all sessions last at least this long without a sign of life. Defaults to twice the ttl that
    /// is asked for, rounded up.
    ///
    /// Longer sessions let [`Lease::extend`](lockattr::Lease::extend) ask for a longer ttl than the lease
    /// began with (up to half of the session's timeout), and make others wait longer after a crash.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use lockattr_zookeeper::ZooKeeper;
    ///
    /// let engine = ZooKeeper::new().least_session_timeout(Duration::from_secs(20));
    /// ```
    #[must_use]
    pub fn least_session_timeout(mut self, timeout: Duration) -> Self {
        self.least_session_timeout = timeout;
        self
    }
}

impl Engine for ZooKeeper {
    fn schemes(&self) -> &'static [&'static str] {
        &["zookeeper", "zk"]
    }

    fn service(&self, url: &str, patience: Patience) -> Result<Service, String> {
        let ensemble = Ensemble::read(url)?;
        let place = ensemble.to_string();
        let dialer = Dialer::new(ensemble, patience, self.least_session_timeout);
        Ok(Service::new(place, move |_| {
            ZooKeeperBackend::connect(dialer.clone())
        }))
    }
}
