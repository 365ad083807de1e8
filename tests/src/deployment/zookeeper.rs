//! Three servers of `ZooKeeper`, one of which leads.

use super::server::own_methods;
use super::{Deployed, Name, Purpose, RECOVERY, Server};
use crate::{ZooKeeperNode, ZooKeepers, is_soon};

impl Server for ZooKeeperNode {
    own_methods!();

    fn names(&self) -> Vec<Name> {
        named(self.places().expect("the server answers"))
    }

    /// With the session of its process.
    fn ends(&self, name: &Name) -> Option<bool> {
        let places = self.places().expect("the server answers");
        places.contains(&name.text).then_some(true)
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
        let leads = |(at, node): (usize, &ZooKeeperNode)| {
            at != master && node.mode().as_deref() == Some("leader")
        };
        let has_leader = || self.nodes.iter().enumerate().any(leads);
        assert!(is_soon(RECOVERY, has_leader), "the others have a leader");
    }

    fn restart_one_by_one(&mut self) {
        for node in 0..self.nodes.len() {
            self.server_mut(node).restart();
            self.settle();
        }
    }

    fn names(&self) -> Vec<Name> {
        named(self.places())
    }
}

fn named(places: Vec<String>) -> Vec<Name> {
    let purpose = Purpose::Lock;
    let named = |text| Name { purpose, text };
    places.into_iter().map(named).collect()
}
