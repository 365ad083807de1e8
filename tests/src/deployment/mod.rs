//! The deployments that a pool can lock on, for tests that run on each of them.

mod cluster;
mod etcd;
mod postgres;
mod quorum;
mod redis;
mod sentinel;
mod server;
mod single;
mod zookeeper;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use lockattr::{LockPool, LockPoolBuilder, RedisOptions};
use lockattr_postgres::Postgres;

use crate::postgres::PostgresPair;
use crate::replicated::CONFIRM_RIGHTS;
use crate::sentinels::Sentinels;
use crate::{Etcd, EtcdVersion, Network, Quorum, RedisCluster, RedisServer, ZooKeepers, is_soon};
pub use server::{Name, Purpose, Server};

/// How long a deployment may take to be whole again after a fault.
const RECOVERY: Duration = Duration::from_secs(120);

/// The arguments of a Redis server that loses nothing.
const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

/// One kind of deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deployment {
    /// One server.
    Single,
    /// A master, two replicas and three sentinels.
    Sentinel,
    /// The same, where one replica confirms each lease.
    Confirmed,
    /// The same, where both replicas confirm each lease, so that whichever is promoted has it.
    ConfirmedByAll,
    /// A cluster of three masters with a replica each.
    Cluster,
    /// Three servers that know nothing of each other.
    Quorum,
    /// `PostgreSQL` with a synchronous standby.
    Postgres,
    /// Three servers of `ZooKeeper`.
    ZooKeeper,
    /// Three members of etcd.
    Etcd,
}

impl Deployment {
    /// Each kind once.
    pub const ALL: [Self; 9] = [
        Self::Single,
        Self::Sentinel,
        Self::Confirmed,
        Self::ConfirmedByAll,
        Self::Cluster,
        Self::Quorum,
        Self::Postgres,
        Self::ZooKeeper,
        Self::Etcd,
    ];

    /// Starts it; durable servers lose nothing when they are killed.
    ///
    /// # Panics
    ///
    /// When its servers do not start.
    #[must_use]
    pub fn start(self, network: &Network, durable: bool) -> Box<dyn Deployed> {
        let args: &[&str] = if durable { &DURABLE } else { &[] };
        match self {
            Self::Single => Box::new(RedisServer::start_in(network, args)),
            Self::Sentinel => Box::new(Sentinels::start_in(Some(network), 3, 3, args)),
            Self::Confirmed | Self::ConfirmedByAll => {
                // First, because it follows the other rights of the user.
                let args = [&[CONFIRM_RIGHTS], args].concat();
                Box::new(Sentinels::start_in(Some(network), 3, 3, &args))
            }
            Self::Cluster => {
                // A node that was restarted promotes nobody until it is told to.
                let args = [&["--cluster-replica-no-failover", "yes"], args].concat();
                Box::new(RedisCluster::start_with(3, 1, &args, Some(network)))
            }
            Self::Quorum => Box::new(Quorum::start_in(network, args)),
            Self::Postgres => Box::new(PostgresPair::start_in(network)),
            Self::ZooKeeper => Box::new(ZooKeepers::start_in(network, 3)),
            Self::Etcd => Box::new(Etcd::start_with(EtcdVersion::V35, 3, &[], Some(network))),
        }
    }

    /// Returns whether it lets several have a key together.
    #[must_use]
    pub fn has_modes(self) -> bool {
        !matches!(self, Self::Quorum | Self::Etcd)
    }

    /// Returns the shortest ttl under which a busy machine loses few leases.
    #[must_use]
    pub fn ttl(self) -> Duration {
        match self {
            // The shortest lease of etcd is a second longer, and a session of ZooKeeper has four ticks.
            Self::Etcd | Self::ZooKeeper => Duration::from_secs(1),
            _ => Duration::from_millis(300),
        }
    }

    /// Returns the settings of a pool for it: the URL, and what the deployment has besides.
    pub fn builder(self, url: &str) -> LockPoolBuilder {
        let confirm = |replicas| RedisOptions::new().confirm_replicas(replicas);
        let builder = LockPool::builder().url(url);
        match self {
            Self::Single | Self::Sentinel | Self::Cluster | Self::Quorum => builder,
            Self::Confirmed => builder.redis(confirm(1)),
            Self::ConfirmedByAll => builder.redis(confirm(2)),
            Self::Postgres => builder.engine(Postgres::new()),
            Self::ZooKeeper => builder.engine(lockattr_zookeeper::ZooKeeper::new()),
            Self::Etcd => builder.engine(lockattr_etcd::Etcd::new()),
        }
    }
}

impl fmt::Display for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Single => "single",
            Self::Sentinel => "sentinel",
            Self::Confirmed => "confirmed",
            Self::ConfirmedByAll => "confirmed-by-all",
            Self::Cluster => "cluster",
            Self::Quorum => "quorum",
            Self::Postgres => "postgres",
            Self::ZooKeeper => "zookeeper",
            Self::Etcd => "etcd",
        })
    }
}

impl FromStr for Deployment {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let mut all = Self::ALL.into_iter();
        all.find(|it| it.to_string() == name)
            .ok_or_else(|| format!("no deployment `{name}`"))
    }
}

/// The servers of a deployment, which end with this value.
///
/// A server is named by its place in [`servers`](Self::servers).
pub trait Deployed: fmt::Debug + Send {
    /// Returns the URL for pools with the prefix `lockattr`, as users with the least rights.
    fn url(&self) -> String;

    /// Returns all servers that have locks or copies of locks.
    fn servers(&self) -> Vec<&dyn Server>;

    /// Returns a server, to disturb it.
    fn server_mut(&mut self, node: usize) -> &mut dyn Server;

    /// Returns the servers that grant leases. All servers have to be up.
    fn masters(&self) -> Vec<usize>;

    /// Returns what is missing until all servers are up and agree on the masters, and all replicas
    /// follow.
    fn missing(&self) -> Option<String>;

    /// Sets whether a master that does not answer is replaced by a replica, which may lose data. A server
    /// that is restarted forgets that it is.
    fn replaces_masters(&self, _replaces: bool) {}

    /// Lets a replica take the master's place as the manuals of the deployment advise: nothing is lost.
    fn hand_over(&mut self, master: usize) {
        unreachable!("{master} has no replica: {self:?}");
    }

    /// Lets a replica take the master's place at once: what was not replicated is lost.
    fn take_over(&mut self, master: usize) {
        unreachable!("{master} has no replica: {self:?}");
    }

    /// Waits until another server has taken the place of a master that the others cannot reach.
    fn wait_for_successor(&self, master: usize) {
        unreachable!("{master} has no replica: {self:?}");
    }

    /// Moves a slot that is in use from one master to another, name by name, with pauses of so much in all.
    fn move_slot(&self, _random: &mut fastrand::Rng, _pause: Duration) {
        unreachable!("there are no slots: {self:?}");
    }

    /// Returns the servers that only have copies of locks. All servers have to be up.
    fn replicas(&self) -> Vec<usize> {
        let masters = self.masters();
        let all = 0..self.servers().len();
        all.filter(|node| !masters.contains(node)).collect()
    }

    /// Waits until nothing is [`missing`](Self::missing).
    ///
    /// # Panics
    ///
    /// When it is not whole within two minutes.
    fn settle(&self) {
        let mut missing = None;
        is_soon(RECOVERY, || {
            missing = self.missing();
            missing.is_none()
        });
        assert_eq!(missing, None, "not whole within {RECOVERY:?}");
    }

    /// Restarts all servers one by one, as for a rolling upgrade: a master hands over first.
    fn restart_one_by_one(&mut self) {
        for node in 0..self.servers().len() {
            if self.masters().contains(&node) {
                self.hand_over(node);
                self.settle();
            }
            self.server_mut(node).restart();
            self.settle();
        }
    }

    /// Returns all that is on the masters, sorted.
    fn names(&self) -> Vec<Name> {
        let (masters, servers) = (self.masters(), self.servers());
        let mut names: Vec<Name> = masters.iter().flat_map(|it| servers[*it].names()).collect();
        names.sort();
        names
    }

    /// Returns what is there for this purpose.
    fn names_for(&self, purpose: Purpose) -> Vec<String> {
        let names = self.names().into_iter();
        let names = names.filter(|name| name.purpose == purpose);
        names.map(|name| name.text).collect()
    }

    /// Returns whether a name ends by itself, or has ended.
    ///
    /// # Panics
    ///
    /// When a master cannot be reached.
    fn ends(&self, name: &Name) -> bool {
        let servers = self.servers();
        let mut masters = self.masters().into_iter();
        masters.all(|it| servers[it].ends(name) != Some(false))
    }
}
