//! From a pool's settings to its connections.

use tracing::info;

use super::{LockPoolBuilder, Target};
use crate::Error;
#[cfg(feature = "testing")]
use crate::backend::Backend;
use crate::backend::OwnerIds;
use crate::backend::memory::MemoryBackend;
#[cfg(feature = "redis")]
use crate::backend::redis::{RedisBackend, RedisSettings, connect_quorum};
use crate::clock::Clock;
use crate::driver::{self, Commands, Settings};
#[cfg(feature = "testing")]
use crate::pool::LockPool;
use crate::protocol::Limits;
use crate::service_url::Named;
#[cfg(feature = "redis")]
use crate::service_url::ServiceUrl;
use crate::timing::DEFAULT_CLAIM_WINDOW;

impl LockPoolBuilder {
    pub(super) async fn connect(self, target: Target) -> Result<Commands, Error> {
        #[cfg(feature = "metrics")]
        crate::metrics::describe();
        let owners = owner_ids()?;
        let settings = self.driver_settings(owners.clone(), Clock::Machine);
        let url = match target {
            Target::Url(url) => url,
            Target::Service(service) => {
                let within = self.connect_timeout;
                return driver::start(settings, move || service.connect(owners, within)).await;
            }
        };
        match url.service()? {
            Named::Memory { name } => {
                info!(
                    "locks are kept in the memory of this process: they exclude nobody outside it"
                );
                let name = name.map(str::to_owned);
                driver::start(settings, || async move {
                    Ok(name
                        .as_deref()
                        .map_or_else(MemoryBackend::private, MemoryBackend::named))
                })
                .await
            }
            #[cfg(feature = "redis")]
            Named::Redis { url: text } => {
                let server = self.redis_settings(&url, text);
                let connect = async move || RedisBackend::connect(server, &owners).await;
                driver::start(settings, connect).await
            }
            #[cfg(feature = "redis")]
            Named::Quorum { url: text } => {
                let server = self.redis_settings(&url, text);
                let connect = async move || connect_quorum(server).await;
                driver::start(settings, connect).await
            }
        }
    }

    /// Makes a pool on this backend, as a task of the present runtime and by its clock.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    #[cfg(feature = "testing")]
    pub(crate) async fn build_here<B: Backend + Send>(
        self,
        clock: Clock,
        backend: B,
    ) -> Result<LockPool, Error> {
        self.check()?;
        let owners = owner_ids()?;
        let commands = driver::start_here(self.driver_settings(owners, clock), backend);
        self.complete(commands, "a test".to_owned()).await
    }

    /// Returns what the pool's I/O thread works with.
    fn driver_settings(&self, owners: OwnerIds, clock: Clock) -> Settings {
        Settings {
            limits: Limits {
                in_flight: self.max_in_flight,
                response_timeout: self.response_timeout,
                claim_window: self.claim_window.unwrap_or(DEFAULT_CLAIM_WINDOW),
                batch: self.batch,
            },
            owners,
            listeners: self.listeners.clone(),
            clock,
        }
    }
}

fn owner_ids() -> Result<OwnerIds, Error> {
    OwnerIds::random().map_err(|error| Error::system("random bits for owner ids", &error))
}

#[cfg(feature = "redis")]
impl LockPoolBuilder {
    pub(super) fn redis_settings(self, url: &ServiceUrl, text: &str) -> RedisSettings {
        RedisSettings {
            url: text.to_owned(),
            place: url.to_string(),
            options: self.redis,
            connect_timeout: self.connect_timeout,
            response_timeout: self.response_timeout,
            claim_window: self.claim_window,
        }
    }
}
