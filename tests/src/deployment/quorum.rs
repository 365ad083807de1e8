//! Three servers that know nothing of each other. Each grants locks.

use std::time::Duration;

use super::{Deployed, Server};
use crate::{Quorum, RedisServer, is_soon};

/// A pool may end meanwhile.
const SOON: Duration = Duration::from_secs(2);

impl Deployed for Quorum {
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
        (0..self.nodes.len()).collect()
    }

    fn missing(&self) -> Option<String> {
        let down = self.nodes.iter().find(|node| !node.is_up())?;
        Some(format!("{} is down", down.port()))
    }

    /// One server less is a majority still: nothing hands over. The next one has to wait until the pools have
    /// found this one again.
    fn restart_one_by_one(&mut self) {
        for node in 0..self.nodes.len() {
            let before = pools(&self.nodes[node]);
            self.nodes[node].restart();
            is_soon(SOON, || pools(&self.nodes[node]) >= before);
        }
    }
}

/// Returns the number of connections of pools.
fn pools(node: &RedisServer) -> usize {
    let list: String = node.ask(&["CLIENT", "LIST"]);
    list.matches("user=locker").count()
}
