//! New sessions.

use std::sync::Arc;
use std::time::Duration;

use lockattr::backend::Patience;
use zookeeper_client::{Acls, Client, CreateMode, CreateOptions, Error};

use crate::failure::{Asked, Trouble};
use crate::url::Ensemble;

/// The shortest session that is asked for; the server rounds it up to what it allows.
const SHORTEST: Duration = Duration::from_millis(250);
/// How much longer than its leases a session has to last.
///
/// A session's end is decided by the leader, which hears of its requests through the server that the
/// process talks to: half a tick later, or not at all if that server is cut off just then. A transaction
/// that a majority agreed upon shows that this was not so before; and a leader that is chosen later gives
/// each session its whole timeout. What the leader may have missed is a ping interval of the session and
/// half a tick, which is less than half of the timeout, since no timeout is shorter than two ticks.
const SESSIONS_PER_LEASE: u32 = 2;

/// What is needed to open sessions.
#[derive(Debug, Clone)]
pub(crate) struct Dialer {
    pub(crate) ensemble: Arc<Ensemble>,
    pub(crate) patience: Patience,
    least: Duration,
}

impl Dialer {
    pub(crate) fn new(ensemble: Ensemble, patience: Patience, least: Duration) -> Self {
        Self {
            ensemble: Arc::new(ensemble),
            patience,
            least,
        }
    }

    /// The timeout of the session for leases of this ttl.
    pub(crate) fn class(&self, ttl: Duration) -> Duration {
        class(ttl.saturating_mul(SESSIONS_PER_LEASE).max(self.least))
    }

    /// The longest ttl of leases in a session with this timeout.
    pub(crate) fn longest_ttl(timeout: Duration) -> Duration {
        timeout / SESSIONS_PER_LEASE
    }

    /// The rights of all nodes.
    pub(crate) fn options(&self, mode: CreateMode) -> CreateOptions<'static> {
        mode.with_acls(match self.ensemble.login {
            Some(_) => Acls::creator_all(),
            None => Acls::anyone_all(),
        })
    }

    /// Opens a session that outlives the process by its timeout if it is `detached`: whatever the way
    /// in which the process ends, its leases last as long as their holders believe.
    ///
    /// # Errors
    ///
    /// Nothing was executed.
    pub(crate) async fn dial(&self, timeout: Duration, detached: bool) -> Asked<Client> {
        let mut connector = Client::connector()
            .with_session_timeout(timeout)
            .with_connection_timeout(self.patience.response);
        if detached {
            connector = connector.with_detached();
        }
        if let Some(login) = &self.ensemble.login {
            connector = connector.with_auth("digest", login.as_bytes());
        }
        let cluster = self.ensemble.cluster();
        let connecting = connector.connect(&cluster);
        match tokio::time::timeout(self.patience.connect, connecting).await {
            Ok(Ok(client)) => Ok(client),
            Ok(Err(error)) => Err(not_connected(error)),
            Err(_) => Err(not_connected(Error::Timeout)),
        }
    }
}

/// There are two classes for each doubling, so that a process has few sessions.
fn class(wanted: Duration) -> Duration {
    let mut class = SHORTEST;
    while class < wanted {
        class = match class {
            class if class * 3 / 2 >= wanted => return class * 3 / 2,
            // The server counts milliseconds in 31 bits.
            class if class.as_millis() > 1 << 29 => return class,
            class => class * 2,
        };
    }
    class
}

fn not_connected(error: Error) -> Trouble {
    match error {
        Error::AuthFailed => error.into(),
        Error::Timeout => Trouble::unavailable(
            "no session with ZooKeeper: no server answered in time, or none that follows a leader",
        ),
        error => Trouble::unavailable(format!("no session with ZooKeeper: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_lasts_as_long_as_is_wanted_and_little_longer() {
        for millis in [1, 250, 251, 375, 376, 800, 2_000, 20_000, 172_800_000] {
            let wanted = Duration::from_millis(millis);
            let class = class(wanted);
            assert!(class >= wanted, "{class:?} for {wanted:?}");
            assert!(
                class <= (wanted * 3 / 2).max(SHORTEST),
                "{class:?} for {wanted:?}"
            );
        }
        assert!(class(Duration::MAX).as_millis() < 1 << 31);
    }
}
