//! A connection, and who may ask on it.

use tokio::sync::{Mutex, MutexGuard};
use tokio_postgres::Client;

/// A connection on which questions may overlap, or not.
pub(crate) struct Line {
    pub(crate) client: Client,
    /// Behind a pooler, one question at a time: `PgBouncer` before 1.21 gives the server away after the first of several
    /// answers, and the others to the client that has it then.
    one_at_a_time: Option<Mutex<()>>,
}

impl Line {
    pub(crate) fn new(client: Client, is_pooled: bool) -> Self {
        Self {
            client,
            one_at_a_time: is_pooled.then(Mutex::default),
        }
    }

    /// Waits for its turn. Keep what this returns until the answer is there.
    pub(crate) async fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        match &self.one_at_a_time {
            Some(turns) => Some(turns.lock().await),
            None => None,
        }
    }
}
