//! Pauses of callers.

use std::time::Duration;

use tokio::sync::oneshot;

use super::Commands;
use crate::Error;

impl Commands {
    /// Waits on the I/O thread, whose time the user can neither pause nor block.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] when the pool is gone.
    pub(crate) async fn pause(&self, pause: Duration) -> Result<(), Error> {
        self.shared().check_process()?;
        let (done, over) = oneshot::channel();
        self.0.runtime.spawn(async move {
            tokio::time::sleep(pause).await;
            // An error means that the caller no longer waits.
            _ = done.send(());
        });
        over.await.map_err(|_| Error::Closed)
    }
}
