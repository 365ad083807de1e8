//! A real Redis Cluster for one test.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::Duration;

use redis::{RedisError, RedisResult, Value};

use crate::{CANARY, Network, RedisServer, eventually, is_soon};

/// The rights that a pool needs on a cluster, beside those on a single server.
pub const CLUSTER_RIGHTS: [&str; 4] = [
    "+asking",
    "+cluster|info",
    "+cluster|slots",
    "+pubsub|numsub",
];
const SLOTS: usize = 16384;

/// Masters with the slots in equal parts, and their replicas. It ends with this value.
#[derive(Debug)]
pub struct RedisCluster {
    /// The masters first, then the replicas in the same order.
    nodes: Vec<RedisServer>,
    masters: usize,
}

impl RedisCluster {
    /// Starts so many masters, each with so many replicas, and waits until all agree.
    ///
    /// # Panics
    ///
    /// When a server does not start, or the cluster does not come together.
    #[must_use]
    pub fn start(masters: usize, replicas: usize) -> Self {
        Self::start_with(masters, replicas, &[], None)
    }

    /// Does the same with more arguments for all nodes, on a network.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    #[must_use]
    pub fn start_with(
        masters: usize,
        replicas: usize,
        args: &[&str],
        network: Option<&Network>,
    ) -> Self {
        let nodes: Vec<RedisServer> = (0..masters * (1 + replicas))
            .map(|_| start_node(args, network))
            .collect();
        let cluster = Self { nodes, masters };
        for (n, node) in cluster.nodes.iter().take(masters).enumerate() {
            let (first, past) = (SLOTS * n / masters, SLOTS * (n + 1) / masters);
            let range = [first.to_string(), (past - 1).to_string()];
            node.raw(&["CLUSTER", "ADDSLOTSRANGE", &range[0], &range[1]])
                .expect("its slots");
            // So that no two nodes begin with the same epoch.
            let epoch = (n + 1).to_string();
            node.raw(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch])
                .expect("its epoch");
        }
        for node in &cluster.nodes[1..] {
            let (port, bus) = (node.port().to_string(), bus_port(node).to_string());
            let meet = ["CLUSTER", "MEET", "127.0.0.1", &port, &bus];
            cluster.nodes[0].raw(&meet).expect("it is met");
        }
        let all = cluster.nodes.len();
        eventually("all nodes know each other", || {
            let known = |node| info(node, "cluster_known_nodes");
            cluster
                .nodes
                .iter()
                .all(|node| known(node) == all.to_string())
        });
        for (n, replica) in cluster.nodes.iter().enumerate().skip(masters) {
            let master = id(&cluster.nodes[n % masters]);
            eventually("it knows its master", || {
                replica.raw(&["CLUSTER", "REPLICATE", &master]).is_ok()
            });
        }
        for replica in &cluster.nodes[masters..] {
            eventually("the replica is in step", || is_in_step(replica));
        }
        eventually("the cluster takes commands", || cluster.is_ok());
        cluster
    }

    pub(crate) fn is_ok(&self) -> bool {
        self.nodes
            .iter()
            .all(|node| info(node, "cluster_state") == "ok")
    }

    /// Returns the URL that names all nodes, as the user with the least rights.
    #[must_use]
    pub fn url(&self) -> String {
        let ports: Vec<u16> = self.nodes.iter().map(RedisServer::port).collect();
        Self::url_of(&ports)
    }

    /// Returns the URL that names the nodes at these ports.
    #[must_use]
    pub fn url_of(ports: &[u16]) -> String {
        let nodes: Vec<String> = ports
            .iter()
            .map(|port| format!("127.0.0.1:{port}"))
            .collect();
        format!("redis+cluster://locker:{CANARY}@{}/", nodes.join(","))
    }

    /// Returns all nodes: the first masters, then their replicas in the same order.
    #[must_use]
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// Returns a node, to disturb it.
    pub fn node_mut(&mut self, n: usize) -> &mut RedisServer {
        &mut self.nodes[n]
    }

    /// Returns the other node of a pair of master and replica.
    #[must_use]
    pub fn partner(&self, n: usize) -> usize {
        (n + self.masters) % self.nodes.len()
    }

    /// Returns the first and last slot of each range and the port of its master, as a node sees it.
    pub(crate) fn view(node: &RedisServer) -> BTreeSet<(u16, u16, u16)> {
        let Value::Array(ranges) = node.ask::<Value>(&["CLUSTER", "SLOTS"]) else {
            panic!("CLUSTER SLOTS returns an array");
        };
        ranges.iter().filter_map(range).collect()
    }

    /// Returns the names of the locks on all masters.
    ///
    /// # Panics
    ///
    /// When a master cannot be reached.
    #[must_use]
    pub fn locks(&self) -> Vec<String> {
        let masters = self.nodes.iter().filter(|node| is_master(node));
        masters.flat_map(RedisServer::locks).collect()
    }

    /// Returns the slot of a name, and the node that has it.
    ///
    /// # Panics
    ///
    /// When no node has it.
    #[must_use]
    pub fn owner(&self, name: &str) -> (u16, usize) {
        let asked = self
            .nodes
            .iter()
            .find(|node| node.is_up())
            .expect("one is up");
        let slot: u16 = asked.ask(&["CLUSTER", "KEYSLOT", name]);
        let has = |node: &RedisServer| {
            let slots: String = node.ask(&["CLUSTER", "NODES"]);
            let myself = slots.lines().find(|line| line.contains("myself"));
            let mut ranges = myself.into_iter().flat_map(|line| line.split(' ').skip(8));
            ranges.any(|range| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let number = |text: &str| text.parse::<u16>().ok();
                number(first)
                    .zip(number(last))
                    .is_some_and(|(f, l)| (f..=l).contains(&slot))
            })
        };
        let owner = self.nodes.iter().position(|node| node.is_up() && has(node));
        (slot, owner.expect("a node has the slot"))
    }

    /// Begins to move a slot to another node: what is there by now stays.
    ///
    /// # Panics
    ///
    /// When a node refuses it.
    pub fn begin_migration(&self, slot: u16, from: usize, to: usize) {
        let (slot, from, to) = (slot.to_string(), &self.nodes[from], &self.nodes[to]);
        let import = ["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(from)];
        to.raw(&import).expect("it is ready");
        let migrate = ["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(to)];
        from.raw(&migrate).expect("it begins");
    }

    /// Moves the names that are in the slot.
    ///
    /// # Panics
    ///
    /// When a node refuses it.
    pub fn move_keys(&self, slot: u16, from: usize, to: usize) {
        for name in self.names_in(slot, from) {
            self.move_name(&name, from, to);
        }
    }

    /// Returns the names on a node that are in the slot.
    #[must_use]
    pub fn names_in(&self, slot: u16, node: usize) -> Vec<String> {
        let slot = slot.to_string();
        let names = ["CLUSTER", "GETKEYSINSLOT", &slot, "1000"];
        self.nodes[node].ask(&names)
    }

    /// Moves one name. It must not be on the other node yet, unless it is a tombstone: a release that is
    /// asked for again leaves another one there.
    ///
    /// # Panics
    ///
    /// When a node refuses it.
    pub fn move_name(&self, name: &str, from: usize, to: usize) {
        let port = self.nodes[to].port().to_string();
        let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, name, "0", "5000"];
        migrate.extend(name.contains("#tomb:").then_some("REPLACE"));
        let mut said = Ok(Value::Nil);
        eventually("the node has heard of the others", || {
            // One that has ended meanwhile is none.
            said = self.nodes[from].raw(&migrate);
            // A node that hears late of the others refuses everything for a while.
            let is_passing = |error: &RedisError| error.to_string().contains("CLUSTERDOWN");
            !said.as_ref().is_err_and(is_passing)
        });
        assert!(said.is_ok(), "{name} cannot move: {said:?}");
    }

    /// Ends the migration: the slot is the other node's.
    ///
    /// # Panics
    ///
    /// When a node refuses it.
    pub fn end_migration(&self, slot: u16, to: usize) {
        let owner = id(&self.nodes[to]);
        let (number, slot) = (slot, slot.to_string());
        let has_it = |node: &RedisServer| {
            let view = Self::view(node).into_iter();
            let mut of_new_owner = view.filter(|(.., owner)| *owner == self.nodes[to].port());
            of_new_owner.any(|(first, last, _)| (first..=last).contains(&number))
        };
        // The new owner first: it takes a new epoch, by which the others believe it. What a node says that
        // has not heard of it yet can undo it, so it is said until all agree.
        let others = self.nodes.iter().enumerate().filter(|(n, _)| *n != to);
        let others: Vec<_> = others
            .map(|(_, node)| node)
            .filter(|node| is_master(node))
            .collect();
        let tell = |node: &RedisServer| {
            let told = node.raw(&["CLUSTER", "SETSLOT", &slot, "NODE", &owner]);
            told.expect("it agrees");
        };
        // One that has heard of it by itself still has to forget that the slot was moving.
        tell(&self.nodes[to]);
        for node in &others {
            tell(node);
        }
        eventually("all agree on the slot's owner", || {
            let all = std::iter::once(&self.nodes[to]).chain(others.iter().copied());
            all.filter(|node| !has_it(node)).for_each(tell);
            self.nodes.iter().all(has_it)
        });
    }

    /// Lets a replica take its master's place, in step with it.
    ///
    /// # Panics
    ///
    /// When it refuses.
    pub fn fail_over_to(&self, replica: usize) {
        /// A planned failover is given up by the nodes after 5 s.
        const GIVEN_UP: Duration = Duration::from_secs(6);
        let node = &self.nodes[replica];
        let is_done = (0..4).any(|_| {
            node.raw(&["CLUSTER", "FAILOVER"]).expect("it agrees");
            is_soon(GIVEN_UP, || is_master(node))
        });
        assert!(is_done, "the planned failover does not end");
    }

    /// Waits until a node has become a master.
    pub fn becomes_master(&self, n: usize) {
        eventually("the replica is promoted", || is_master(&self.nodes[n]));
    }
}

fn start_node(args: &[&str], network: Option<&Network>) -> RedisServer {
    let bus = TcpListener::bind(("127.0.0.1", 0))
        .and_then(|socket| socket.local_addr())
        .expect("a free port")
        .port();
    let bus_text = bus.to_string();
    // They follow the other rights of the user, so that it has them after a restart too.
    let mut all = CLUSTER_RIGHTS.to_vec();
    all.extend(["--cluster-enabled", "yes"]);
    all.extend(["--cluster-node-timeout", "1000"]);
    all.extend(["--cluster-port", &bus_text]);
    all.extend(["--repl-diskless-sync-delay", "0"]);
    all.extend(args);
    let Some(network) = network else {
        return RedisServer::start_with(&all);
    };
    let node = RedisServer::start_in(network, &all);
    node.host().listens_on(bus);
    node
}

fn bus_port(node: &RedisServer) -> u16 {
    let port: Vec<String> = node.ask(&["CONFIG", "GET", "cluster-port"]);
    port[1].parse().expect("a number")
}

/// Reads `[first, last, [host, port, …], …]`.
fn range(value: &Value) -> Option<(u16, u16, u16)> {
    let Value::Array(parts) = value else {
        return None;
    };
    let [first, last, Value::Array(master), ..] = &parts[..] else {
        return None;
    };
    let number = |value: &Value| match value {
        Value::Int(number) => u16::try_from(*number).ok(),
        _ => None,
    };
    Some((number(first)?, number(last)?, number(master.get(1)?)?))
}

fn id(node: &RedisServer) -> String {
    node.ask(&["CLUSTER", "MYID"])
}

pub(crate) fn is_in_step(replica: &RedisServer) -> bool {
    let state = replica.info("replication");
    state.get("master_link_status").is_some_and(|it| it == "up")
}

pub(crate) fn is_master(node: &RedisServer) -> bool {
    let role = || -> RedisResult<Value> { node.raw(&["ROLE"]) };
    node.is_up()
        && matches!(role(), Ok(Value::Array(parts)) if parts.first() == Some(&Value::BulkString(b"master".to_vec())))
}

fn info(node: &RedisServer, field: &str) -> String {
    let info: String = node.ask(&["CLUSTER", "INFO"]);
    let value = info
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.unwrap_or_default().trim().to_owned()
}
