//! The links of a pool lead to the master that the sentinels name.

use tokio::task::JoinSet;
use tracing::{info, warn};

use super::super::stream::Address;
use super::super::{RedisBackend, failure};

/// How a pool follows the master.
pub(in super::super) struct Following {
    master: Option<Address>,
    /// The tasks that listen to the sentinels end with this value.
    _listening: JoinSet<()>,
}

impl Following {
    pub(in super::super) fn new(listening: JoinSet<()>) -> Self {
        Self {
            master: None,
            _listening: listening,
        }
    }
}

impl RedisBackend {
    /// A sentinel has answered, and this is the master by what all of them say.
    pub(in super::super) fn on_master(&mut self, master: &Address) {
        let known = &mut self.following.master;
        let has_moved = known.as_ref() != Some(master);
        if has_moved {
            match known.replace(master.clone()) {
                None => info!(%master, "the sentinels name the master"),
                Some(old) => warn!(%old, %master, "the sentinels name another master"),
            }
        }
        for link in 0..self.links.len() {
            let current = &mut self.links[link];
            if has_moved {
                // A dial that is under way may lead to the old master, or wait for the next try.
                if current.dialling.take().is_some()
                    && let Some(dial) = current.dial.take()
                {
                    dial.abort();
                }
                current.failures = 0;
            }
            match &current.connection {
                Some(connection) if connection.server.as_ref() == Some(master) => {}
                Some(_) => self.replace(link, failure::moved(master)),
                None => self.redial(link),
            }
        }
    }
}
