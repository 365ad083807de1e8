//! Servers that know nothing of each other, of which a majority grants a lock.

use crate::{CANARY, Network, RedisServer, ServerClock};

/// The servers of a quorum, which end with this value.
#[derive(Debug)]
pub struct Quorum {
    /// They stand in no particular order: each key has its own.
    pub nodes: Vec<RedisServer>,
}

impl Quorum {
    /// Starts so many servers.
    #[must_use]
    pub fn start(count: usize) -> Self {
        let start = |_| RedisServer::start();
        Self {
            nodes: (0..count).map(start).collect(),
        }
    }

    /// Starts a server for each of these clocks.
    #[must_use]
    pub fn start_with_clocks(clocks: &[ServerClock]) -> Self {
        Self {
            nodes: clocks.iter().map(RedisServer::start_with_clock).collect(),
        }
    }

    /// Starts three servers with these arguments on a network.
    #[must_use]
    pub fn start_in(network: &Network, args: &[&str]) -> Self {
        let start = |_| RedisServer::start_in(network, args);
        Self {
            nodes: (0..3).map(start).collect(),
        }
    }

    /// Returns the URL for pools with the prefix `lockattr`, as the user with the least rights.
    #[must_use]
    pub fn url(&self) -> String {
        let ports: Vec<u16> = self.nodes.iter().map(RedisServer::port).collect();
        Self::url_at(&ports)
    }

    /// Returns the same URL with the servers at these ports.
    #[must_use]
    pub fn url_at(ports: &[u16]) -> String {
        format!("redis+quorum://locker:{CANARY}@{}", hosts(ports))
    }

    /// Returns the URL for pools as the user with all rights.
    #[must_use]
    pub fn admin_url(&self) -> String {
        let ports: Vec<u16> = self.nodes.iter().map(RedisServer::port).collect();
        format!("redis+quorum://{}", hosts(&ports))
    }

    /// Returns the locks on all servers.
    #[must_use]
    pub fn locks(&self) -> Vec<String> {
        self.nodes.iter().flat_map(RedisServer::locks).collect()
    }

    /// Returns how many calls of scripts all servers have executed.
    #[must_use]
    pub fn script_calls(&self) -> usize {
        self.nodes.iter().map(RedisServer::script_calls).sum()
    }
}

fn hosts(ports: &[u16]) -> String {
    let hosts = ports.iter().map(|port| format!("127.0.0.1:{port}"));
    hosts.collect::<Vec<_>>().join(",")
}
