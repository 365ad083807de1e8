//! Three servers of `ZooKeeper`, one of which leads.

use super::server::own_methods;
use super::{Deployed, Name, Purpose, RECOVERY, Server};
use crate::{ZooKeeperNode, ZooKeepers, is_soon};

impl Server for ZooKeeperNode {
    own_methods!();

    fn names(&self) -> Vec<Name> {
        let named = |text| Name {
            purpose: Purpose::Lock,
            text,
        };
        self.places().into_iter().map(named).collect()
    }

    /// With the session of its process.
    fn ends(&self, name: &Name) -> Option<bool> {
        self.places().contains(&name.text).then_some(true)
    }
}

impl Deployed for ZooKeepers {
    fn url(&self) -> String {
        Self::url(self)
    }

    fn servers(&self) -> Vec<&dyn Server> {
        self.nodes.iter().map(|it| it as &dyn Server).collect()
    }

    fn server_mut(&mut self, node: usize) -> &mut dyn Server {
        self.node_mut(node)
    }

    /// Processes may talk to any of them.
    fn masters(&self) -> Vec<usize> {
        (0..self.nodes.len()).collect()
    }

    fn missing(&self) -> Option<String> {
        (!self.is_whole()).then(|| "not all servers follow one leader".to_owned())
    }

    fn wait_for_successor(&self, master: usize) {
        let others = || {
            self.nodes
                .iter()
                .enumerate()
                .filter(|(node, _)| *node != master)
        };
        let leads = || others().any(|(_, node)| node.mode().as_deref() == Some("leader"));
        is_soon(RECOVERY, leads);
    }

    fn restart_one_by_one(&mut self) {
        for node in 0..self.nodes.len() {
            self.server_mut(node).restart();
            self.settle();
        }
    }

    fn names(&self) -> Vec<Name> {
        let leader = self.leader().map(|leader| self.node(leader));
        leader.map_or_else(Vec::new, Server::names)
    }
}
