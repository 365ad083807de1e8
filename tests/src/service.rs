//! The lock services for a test, one after the other.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lockattr::{Error, LockPool, LockPoolBuilder};

use crate::{RedisServer, eventually_async};

/// A lock service that belongs to one test.
#[derive(Debug)]
pub enum Service {
    /// A real server.
    Redis(RedisServer),
    /// Locks in this process, under a unique name.
    Memory(String),
}

impl Service {
    /// Returns one of each kind.
    #[must_use]
    pub fn all() -> [Self; 2] {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        [Self::Redis(RedisServer::start()), Self::Memory(name)]
    }

    /// Returns the settings of a pool for it.
    pub fn builder(&self) -> LockPoolBuilder {
        let url = match self {
            Self::Redis(server) => server.url(),
            Self::Memory(name) => format!("memory://{name}"),
        };
        LockPool::builder().url(url)
    }

    /// Builds a pool; each pool plays the role of a process.
    ///
    /// # Panics
    ///
    /// When the service cannot be reached.
    pub async fn pool(&self) -> LockPool {
        self.builder().build().await.expect("the service is there")
    }

    /// Returns whether the key is free, as the service itself says.
    ///
    /// # Panics
    ///
    /// When the service cannot be reached.
    pub async fn is_free(&self, key: &str) -> bool {
        match self {
            Self::Redis(server) => !server
                .locks()
                .iter()
                .any(|name| name.ends_with(&format!("}}:{key}"))),
            Self::Memory(_) => {
                let pool = self.pool().await;
                let taken = pool.lock(key).try_acquire().await;
                let taken = match taken {
                    Err(Error::OtherMode { .. }) => None,
                    taken => taken.expect("memory is there"),
                };
                let is_free = taken.is_some();
                if let Some(guard) = taken {
                    guard.release().await;
                }
                // A refused call has a place in the queue for a moment longer.
                let ended = pool.shutdown(Self::LONG).await;
                ended.expect("there is nothing to wait for");
                is_free
            }
        }
    }

    /// Waits until the key is free. With a ttl above the patience of
    /// [`eventually`](crate::eventually), that is a release and not an expiry.
    pub async fn becomes_free(&self, key: &str) {
        eventually_async(&format!("{key} becomes free on {self:?}"), || {
            self.is_free(key)
        })
        .await;
    }

    /// A ttl that is longer than any test.
    pub const LONG: Duration = Duration::from_secs(600);
}
