//! From a pool's settings to its connections.

use tracing::info;

use super::{LockPoolBuilder, Service};
use crate::Error;
use crate::backend::OwnerIds;
use crate::backend::memory::MemoryBackend;
#[cfg(feature = "redis")]
use crate::backend::redis::{RedisBackend, RedisSettings, connect_quorum};
use crate::driver::{self, Commands};
use crate::protocol::Limits;
use crate::service_url::Named;
#[cfg(feature = "redis")]
use crate::service_url::ServiceUrl;
use crate::timing::DEFAULT_CLAIM_WINDOW;

impl LockPoolBuilder {
    pub(super) async fn connect(self, service: Service) -> Result<Commands, Error> {
        #[cfg(feature = "metrics")]
        crate::metrics::describe();
        let owners = OwnerIds::random()
            .map_err(|error| Error::system("random bits for owner ids", &error))?;
        let limits = Limits {
            in_flight: self.max_in_flight,
            response_timeout: self.response_timeout,
            claim_window: self.claim_window.unwrap_or(DEFAULT_CLAIM_WINDOW),
            batch: self.batch,
        };
        let url = match service {
            Service::Url(url) => url,
            Service::Custom(service) => {
                let (pool, within) = (owners.clone(), self.connect_timeout);
                return driver::start(limits, owners, move || service.connect(pool, within)).await;
            }
        };
        match url.service()? {
            Named::Memory { name } => {
                info!(
                    "locks are kept in the memory of this process: they exclude nobody outside it"
                );
                let name = name.map(str::to_owned);
                driver::start(limits, owners, || async move {
                    Ok(name
                        .as_deref()
                        .map_or_else(MemoryBackend::private, MemoryBackend::named))
                })
                .await
            }
            #[cfg(feature = "redis")]
            Named::Redis { url: text } => {
                let settings = self.redis_settings(&url, text);
                let pool = owners.clone();
                let connect = async move || RedisBackend::connect(settings, &pool).await;
                driver::start(limits, owners, connect).await
            }
            #[cfg(feature = "redis")]
            Named::Quorum { url: text } => {
                let settings = self.redis_settings(&url, text);
                let connect = async move || connect_quorum(settings).await;
                driver::start(limits, owners, connect).await
            }
        }
    }
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
