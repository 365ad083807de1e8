//! A master and its replicas, without anything that would replace the master.

use crate::{RedisServer, eventually};

/// The right that confirmed replication needs, beside those of any pool.
pub const CONFIRM_RIGHTS: &str = "+wait";
/// The right that confirmation by the append-only file needs.
pub const FSYNC_RIGHTS: &str = "+waitaof";

/// A master and its replicas; all of them end with this value.
#[derive(Debug)]
pub struct Replicated {
    /// Takes the writes.
    pub master: RedisServer,
    /// They copy them.
    pub replicas: Vec<RedisServer>,
}

impl Replicated {
    /// Starts a master with so many replicas, and waits until they follow.
    #[must_use]
    pub fn start(replicas: usize) -> Self {
        Self::start_with(replicas, RedisServer::start_with)
    }

    /// Does the same with Valkey servers.
    #[must_use]
    pub fn start_valkey(replicas: usize) -> Self {
        Self::start_with(replicas, RedisServer::start_valkey)
    }

    fn start_with(replicas: usize, start: impl Fn(&[&str]) -> RedisServer) -> Self {
        let master = start(&[]);
        may_confirm(&master, &[CONFIRM_RIGHTS]);
        let port = master.port().to_string();
        let args = [
            "--replicaof",
            "127.0.0.1",
            &port,
            "--repl-diskless-sync-delay",
            "0",
        ];
        let replicas: Vec<RedisServer> = (0..replicas).map(|_| start(&args)).collect();
        eventually("the replicas follow", || online(&master) == replicas.len());
        Self { master, replicas }
    }
}

/// Allows the pools' user to ask for confirmations.
///
/// # Panics
///
/// When the server cannot be reached.
pub fn may_confirm(server: &RedisServer, rights: &[&str]) {
    let grant = [&["ACL", "SETUSER", "locker"], rights].concat();
    server.raw(&grant).expect("its rights");
}

/// Returns how many replicas follow this master.
///
/// # Panics
///
/// When the server cannot be reached.
#[must_use]
pub fn online(master: &RedisServer) -> usize {
    let info = master.info("replication");
    info.values()
        .filter(|it| it.contains("state=online"))
        .count()
}

/// Returns how many connections wait for a confirmation.
///
/// # Panics
///
/// When the server cannot be reached.
#[must_use]
pub fn blocked(master: &RedisServer) -> usize {
    master.info("clients")["blocked_clients"]
        .parse()
        .expect("a number")
}

/// Returns how often a confirmation was asked for.
///
/// # Panics
///
/// When the server cannot be reached.
#[must_use]
pub fn waits(master: &RedisServer) -> usize {
    master.calls("wait")
}
