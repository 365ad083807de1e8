//! Members of etcd.

use super::server::own_methods;
use super::{Deployed, Name, Purpose, Server};
use crate::{Etcd, EtcdMember, eventually};

impl Deployed for Etcd {
    fn url(&self) -> String {
        Self::url(self)
    }

    fn servers(&self) -> Vec<&dyn Server> {
        self.members.iter().map(|it| it as &dyn Server).collect()
    }

    fn server_mut(&mut self, node: usize) -> &mut dyn Server {
        &mut self.members[node]
    }

    fn masters(&self) -> Vec<usize> {
        vec![self.leader()]
    }

    fn missing(&self) -> Option<String> {
        let mut members = self.members.iter();
        if let Some(down) = members.find(|member| !member.is_up()) {
            return Some(format!("{} is down", down.port()));
        }
        let has_leader = self.members.iter().any(EtcdMember::is_leader);
        (!has_leader).then(|| "there is no leader".to_owned())
    }

    fn hand_over(&mut self, leader: usize) {
        let next = &self.members[(leader + 1) % self.members.len()];
        self.members[leader].move_leader(next);
        eventually("it leads", || next.is_leader());
    }

    fn wait_for_successor(&self, leader: usize) {
        eventually("the others have a leader", || {
            let members = self.members.iter().enumerate();
            let mut others = members.filter(|(at, _)| *at != leader);
            others.any(|(_, member)| member.is_leader())
        });
    }
}

impl Server for EtcdMember {
    own_methods!();

    fn names(&self) -> Vec<Name> {
        let mut last_folder = String::new();
        let mut names = self.places();
        // By folder; in each of them, the oldest has the key.
        names.sort_by(|one, other| folder(&one.0).cmp(folder(&other.0)));
        let purposeful = |(text, _): (String, u64)| {
            let folder = folder(&text).to_owned();
            let is_first = folder != last_folder;
            last_folder.clone_from(&folder);
            let purpose = match (text.contains("/tombstones/"), is_first) {
                (true, _) => Purpose::Tombstone,
                (false, true) => Purpose::Lock,
                (false, false) => Purpose::Queue,
            };
            Name { purpose, text }
        };
        names.into_iter().map(purposeful).collect()
    }

    fn ends(&self, name: &Name) -> Option<bool> {
        let places = self.places();
        let place = places.iter().find(|(text, _)| *text == name.text)?;
        Some(place.1 != 0)
    }
}

fn folder(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(folder, _)| folder)
}
