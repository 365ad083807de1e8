//! A primary and its synchronous standby.

use super::PostgresServer;
use crate::{CANARY, Network};

/// Two servers, one of which follows the other; they end with this value.
#[derive(Debug)]
pub struct PostgresPair {
    /// The one that takes writes, and the other one, in no order.
    pub servers: [PostgresServer; 2],
}

impl PostgresPair {
    /// Starts them as hosts of a network.
    ///
    /// # Panics
    ///
    /// When they do not start.
    #[must_use]
    pub fn start_in(network: &Network) -> Self {
        let primary = PostgresServer::start_in(network, &[]);
        let standby = primary.start_standby();
        let mut pair = Self {
            servers: [primary, standby],
        };
        // Each grant is on the standby before it counts. Only now: without a standby nothing would be committed.
        for server in &mut pair.servers {
            server.set("synchronous_standby_names", "*");
        }
        pair
    }

    /// Returns the URL for pools, as the user with the least rights.
    #[must_use]
    pub fn url(&self) -> String {
        let [one, other] = self.servers.each_ref().map(PostgresServer::port);
        format!("postgres://locker:{CANARY}@127.0.0.1:{one},127.0.0.1:{other}/postgres")
    }

    /// Returns the place of the one that takes writes. Both have to be up.
    ///
    /// # Panics
    ///
    /// When one cannot be asked.
    #[must_use]
    pub fn primary(&self) -> usize {
        usize::from(self.servers[0].is_standby())
    }

    /// Lets the standby take the place of the primary, which is killed or ends by itself, and lets that one follow it.
    ///
    /// # Panics
    ///
    /// When a server does not do its part.
    pub fn fail_over(&mut self, kills: bool) {
        let old = self.primary();
        let (first, second) = self.servers.split_at_mut(1);
        let (old, new) = match old {
            0 => (&mut first[0], &mut second[0]),
            _ => (&mut second[0], &mut first[0]),
        };
        if kills {
            old.kill();
        } else {
            old.stop();
        }
        new.promote();
        old.follow(new);
    }
}
