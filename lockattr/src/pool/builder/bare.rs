//! A backend without a pool around it, for the conformance checks.

use super::{LockPoolBuilder, Target};
use crate::Error;
use crate::backend::memory::MemoryBackend;
#[cfg(feature = "redis")]
use crate::backend::redis::{RedisBackend, connect_quorum};
use crate::backend::{Backend, OwnerIds};
use crate::service_url::Named;

impl LockPoolBuilder {
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub(crate) async fn connect_bare(self, owners: OwnerIds) -> Result<Box<dyn Backend>, Error> {
        let url = match self.check()? {
            Target::Url(url) => url,
            Target::Service(service) => return service.connect(owners, self.connect_timeout).await,
        };
        Ok(match url.service()? {
            Named::Memory { name: Some(name) } => Box::new(MemoryBackend::named(name)),
            Named::Memory { name: None } => Box::new(MemoryBackend::private()),
            #[cfg(feature = "redis")]
            Named::Redis { url: text } => {
                let settings = self.redis_settings(&url, text);
                Box::new(RedisBackend::connect(settings, &owners).await?)
            }
            #[cfg(feature = "redis")]
            Named::Quorum { url: text } => {
                let settings = self.redis_settings(&url, text);
                Box::new(connect_quorum(settings).await?)
            }
        })
    }
}
