//! Connections for a few questions to a server itself.

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Value};
use tokio::task::AbortHandle;

use super::{Dialer, Route};
use crate::backend::BackendError;
use crate::backend::redis::failure;

impl Dialer {
    /// Connects for a question to the server itself.
    pub(in super::super) async fn visit(&self) -> Result<Visit, BackendError> {
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(self.connect_timeout));
        let Route::Known(way) = &self.route else {
            return Err(failure::disconnected());
        };
        let opening = tokio::time::timeout(self.connect_timeout, self.open(way, config, || {}));
        let opened = opening.await;
        let (shared, driver) = opened.unwrap_or_else(|_| Err(self.no_connection()))?;
        let driver = driver.abort_handle();
        Ok(Visit { shared, driver })
    }
}

/// A connection for a question; it is closed with this value.
pub(in super::super) struct Visit {
    shared: MultiplexedConnection,
    driver: AbortHandle,
}

impl Visit {
    pub(in super::super) async fn ask(
        &mut self,
        questions: &redis::Pipeline,
        answers: usize,
    ) -> Result<Vec<Value>, BackendError> {
        let answered = self
            .shared
            .send_packed_commands(questions, 0, answers)
            .await;
        let values = answered.and_then(|values| {
            let sound = values.into_iter().map(Value::extract_error);
            sound.collect::<Result<Vec<_>, _>>()
        });
        values.map_err(|error| failure::classify(&error).error)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
