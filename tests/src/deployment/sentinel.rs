//! A master and its replicas, watched by sentinels.

use std::collections::HashMap;

use super::{Deployed, Server};
use crate::sentinels::{MASTER_NAME, Sentinel, Sentinels, follow};
use crate::{RedisServer, eventually};

/// No hang and no partition of a test lasts so long.
const NEVER: &str = "600000";
const SOON: &str = "500";

impl Deployed for Sentinels {
    fn url(&self) -> String {
        Self::url(self)
    }

    fn servers(&self) -> Vec<&dyn Server> {
        self.nodes.iter().map(|it| it as &dyn Server).collect()
    }

    fn server_mut(&mut self, node: usize) -> &mut dyn Server {
        &mut self.nodes[node]
    }

    fn masters(&self) -> Vec<usize> {
        let port = self.sentinels[0].master_port();
        let master = self.nodes.iter().position(|node| node.port() == port);
        vec![master.expect("it is one of the nodes")]
    }

    fn replaces_masters(&self, replaces: bool) {
        wait_for_master(self, if replaces { SOON } else { NEVER });
    }

    /// A failover of the sentinels asks neither the master nor its clients. So writes are paused until
    /// the old master is a replica: those of present clients end with their connections. The sentinels' own
    /// messages wait too, so that they would take the master for dead.
    fn hand_over(&mut self, master: usize) {
        let old = &self.nodes[master];
        let patience = state(&self.sentinels[0])["down-after-milliseconds"].clone();
        wait_for_master(self, NEVER);
        old.raw(&["CLIENT", "PAUSE", NEVER, "WRITE"]).expect("done");
        let offset = |node: &RedisServer| node.info("replication")["master_repl_offset"].clone();
        eventually("the replicas are in step", || {
            self.nodes.iter().all(|node| offset(node) == offset(old))
        });
        promote(self);
        let new = self.nodes[self.masters()[0]].port();
        follow(old, new);
        old.raw(&["CLIENT", "UNPAUSE"]).expect("done");
        wait_for_master(self, &patience);
    }

    fn take_over(&mut self, _: usize) {
        promote(self);
    }

    fn wait_for_successor(&self, master: usize) {
        let all: Vec<usize> = (0..self.sentinels.len()).collect();
        self.new_master(self.nodes[master].port(), &all);
    }

    fn missing(&self) -> Option<String> {
        let port = self.sentinels[0].master_port();
        for sentinel in &self.sentinels {
            let state = state(sentinel);
            if sentinel.master_port() != port || state["flags"] != "master" {
                return Some(format!("a sentinel says {state:?}"));
            }
        }
        for node in &self.nodes {
            if !node.is_up() {
                return Some(format!("{} is down", node.port()));
            }
            let state = node.info("replication");
            let is_in_place = if node.port() == port {
                state["role"] == "master"
            } else if state.get("master_port") == Some(&port.to_string()) {
                state["master_link_status"] == "up"
            } else {
                // It was restarted. The sentinels would do this too, some 10 s later.
                follow(node, port);
                false
            };
            if !is_in_place {
                return Some(format!("{} says {state:?}", node.port()));
            }
        }
        None
    }
}

/// Sets how long the sentinels wait for a master that does not answer, in milliseconds.
fn wait_for_master(deployed: &Sentinels, patience: &str) {
    for sentinel in &deployed.sentinels {
        let set = ["SET", MASTER_NAME, "down-after-milliseconds", patience];
        sentinel.query::<()>(&set).expect("it is there");
    }
}

fn promote(deployed: &Sentinels) {
    let all: Vec<usize> = (0..deployed.sentinels.len()).collect();
    deployed.fail_over(&all);
}

/// Returns what a sentinel knows of the master.
fn state(sentinel: &Sentinel) -> HashMap<String, String> {
    sentinel
        .query(&["MASTER", MASTER_NAME])
        .expect("it is there")
}
