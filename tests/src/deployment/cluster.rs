//! A Redis Cluster whose masters have a replica each.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::Duration;

use super::{Deployed, Server};
use crate::eventually;
use crate::redis_cluster::{RedisCluster, is_in_step, is_master};

impl Deployed for RedisCluster {
    fn url(&self) -> String {
        Self::url(self)
    }

    fn servers(&self) -> Vec<&dyn Server> {
        Self::nodes(self)
            .iter()
            .map(|it| it as &dyn Server)
            .collect()
    }

    fn server_mut(&mut self, node: usize) -> &mut dyn Server {
        Self::node_mut(self, node)
    }

    fn masters(&self) -> Vec<usize> {
        let nodes = Self::nodes(self).iter().enumerate();
        let masters = nodes.filter(|(_, node)| is_master(node));
        masters.map(|(n, _)| n).collect()
    }

    fn replaces_masters(&self, replaces: bool) {
        let keeps = if replaces { "no" } else { "yes" };
        for node in Self::nodes(self) {
            let set = ["CONFIG", "SET", "cluster-replica-no-failover", keeps];
            node.raw(&set).expect("it is there");
        }
    }

    fn hand_over(&mut self, master: usize) {
        self.fail_over_to(self.partner(master));
    }

    fn take_over(&mut self, master: usize) {
        let replica = &Self::nodes(self)[self.partner(master)];
        replica
            .raw(&["CLUSTER", "FAILOVER", "TAKEOVER"])
            .expect("it takes over");
        eventually("it is a master", || is_master(replica));
    }

    fn wait_for_successor(&self, master: usize) {
        self.becomes_master(self.partner(master));
    }

    fn missing(&self) -> Option<String> {
        let nodes = Self::nodes(self);
        if let Some(down) = nodes.iter().find(|node| !node.is_up()) {
            return Some(format!("{} is down", down.port()));
        }
        if !self.is_ok() {
            return Some("a node takes no commands".to_owned());
        }
        let view = RedisCluster::view(&nodes[0]);
        let owners: BTreeSet<u16> = view.iter().map(|(.., owner)| *owner).collect();
        if owners.len() != nodes.len() / 2 {
            return Some(format!("masters: {owners:?}"));
        }
        nodes.iter().find_map(|node| {
            let other = RedisCluster::view(node);
            if other != view {
                return Some(format!("the nodes do not agree: {view:?}, {other:?}"));
            }
            let state = node.info("replication");
            let is_in_place = if owners.contains(&node.port()) {
                state["role"] == "master"
            } else {
                is_in_step(node)
            };
            (!is_in_place).then(|| format!("{} says {state:?}", node.port()))
        })
    }

    fn move_slot(&self, random: &mut fastrand::Rng, pause: Duration) {
        let masters = self.masters();
        let masters_names = masters
            .iter()
            .flat_map(|it| Self::nodes(self)[*it].keys("*"));
        let names: Vec<String> = masters_names.collect();
        let Some(name) = random.choice(&names) else {
            return;
        };
        let (slot, from) = self.owner(name);
        let others: Vec<usize> = masters.into_iter().filter(|it| *it != from).collect();
        let to = *random.choice(&others).expect("there are three masters");
        self.begin_migration(slot, from, to);
        sleep(pause / 4);
        let mut names = self.names_in(slot, from);
        random.shuffle(&mut names);
        let pause_between = pause / 2 / u32::try_from(names.len().max(1)).expect("a few");
        for name in names {
            self.move_name(&name, from, to);
            sleep(pause_between);
        }
        sleep(pause / 4);
        // What has come meanwhile.
        self.move_keys(slot, from, to);
        self.end_migration(slot, to);
    }
}
