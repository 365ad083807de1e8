//! Locks on a Redis Cluster.
//!
//! Each master has a [`Link`](super::link::Link) of its own, and a call has names of one slot only, as
//! all names of a bucket are in one slot. A node that says MOVED or ASK has executed nothing, so the
//! attempts go on to the node that it names; what else fails is asked again by the protocol, at the node
//! that has the slot by then.

mod discovery;
mod redirect;
mod table;

use std::sync::Arc;

use tracing::{info, warn};

use super::connect;
use super::dial::Dialer;
use super::link::Link;
use super::names;
use super::stream::Address;
use super::{RedisBackend, Report, failure};
use crate::backend::{Attempt, BackendError, Event};
pub(super) use discovery::discover;
pub(super) use redirect::Redirect;
pub(super) use table::Table;

/// How often the attempts of one call may be sent on.
pub(super) const MOST_HOPS: u8 = 4;

/// What a pool knows of its cluster.
#[derive(Clone)]
pub(super) struct Cluster {
    /// Whence the login and the certificates for all nodes are.
    dialer: Arc<Dialer>,
    /// The nodes that the URL names.
    seeds: Vec<Address>,
    /// The link of each bucket.
    links: Vec<usize>,
    /// The node of each link. Of several to one node the first is for attempts without a confirmation.
    nodes: Vec<Address>,
    is_discovering: bool,
}

impl Cluster {
    /// The links of the nodes stand in the order of `nodes`.
    pub(super) fn new(
        dialer: Arc<Dialer>,
        seeds: Vec<Address>,
        table: &Table,
        nodes: Vec<Address>,
    ) -> Self {
        let mut new = Self {
            dialer,
            seeds,
            links: vec![0; names::BUCKETS.into()],
            nodes,
            is_discovering: false,
        };
        for bucket in 0..names::BUCKETS {
            let node = table.node(names::slot(bucket));
            let link = node.and_then(|node| new.nodes.iter().position(|known| known == node));
            new.links[usize::from(bucket)] = link.unwrap_or_default();
        }
        new
    }

    /// There is one more link to the node of `home`.
    pub(super) fn has_link_beside(&mut self, home: usize) {
        self.nodes.push(self.nodes[home].clone());
    }

    pub(super) fn link_of(&self, key: &str) -> usize {
        self.links[usize::from(names::bucket(key))]
    }

    /// One of the buckets whose link it is.
    pub(super) fn bucket_at(&self, link: usize) -> u16 {
        let bucket = self.links.iter().position(|of| *of == link);
        bucket
            .and_then(|bucket| u16::try_from(bucket).ok())
            .unwrap_or_default()
    }

    /// A link to each node that has locks.
    pub(super) fn masters(&self) -> Vec<usize> {
        let mut links = self.links.clone();
        links.sort_unstable();
        links.dedup();
        links
    }

    pub(super) fn node(&self, link: usize) -> &Address {
        &self.nodes[link]
    }

    /// The way to the node to which that of this link sends a question on.
    pub(super) fn sent_on(&self, link: usize, to: &Redirect) -> Dialer {
        let (Redirect::Moved { host, port } | Redirect::Ask { host, port }) = to;
        self.dialer.at(self.nodes[link].with(host, *port))
    }
}

/// Attempts whose keys are in one slot, in the order in which they come.
pub(super) fn by_slot(attempts: Vec<Attempt>) -> Vec<Vec<Attempt>> {
    let mut groups: Vec<(u16, Vec<Attempt>)> = Vec::new();
    for attempt in attempts {
        let slot = names::slot(names::bucket(attempt.key()));
        match groups.iter_mut().find(|(group, _)| *group == slot) {
            Some((_, group)) => group.push(attempt),
            None => groups.push((slot, vec![attempt])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

impl RedisBackend {
    /// Asks the nodes which of them has which slot, unless that is under way.
    pub(super) fn rediscover(&mut self) {
        let Some(cluster) = self.cluster.as_mut().filter(|it| !it.is_discovering) else {
            return;
        };
        cluster.is_discovering = true;
        let mut candidates = cluster.seeds.clone();
        candidates.extend(cluster.nodes.iter().cloned());
        candidates.sort_unstable();
        candidates.dedup();
        let (dialer, inbox) = (Arc::clone(&cluster.dialer), self.inbox.clone());
        tokio::spawn(async move {
            let found = discover(&dialer, candidates).await;
            // Nobody listens when the pool has ended meanwhile.
            drop(inbox.send(Report::Discovered(found)));
        });
    }

    pub(super) fn on_discovered(&mut self, found: Result<Table, BackendError>) {
        let Some(cluster) = &mut self.cluster else {
            return;
        };
        cluster.is_discovering = false;
        let table = match found {
            Ok(table) => table,
            Err(error) => return warn!(%error, "no node of the cluster says who has which slot"),
        };
        let mut has_moved = false;
        for bucket in 0..names::BUCKETS {
            if let Some(node) = table.node(names::slot(bucket)) {
                let link = self.link_at(&node.clone());
                has_moved |= self.assign(bucket, link);
            }
        }
        if has_moved {
            self.done.push_back(Event::Reconnected);
        }
        self.retire_links();
    }

    /// The link to a node, which is made if there is none.
    fn link_at(&mut self, node: &Address) -> usize {
        let Some(cluster) = &mut self.cluster else {
            return 0;
        };
        if let Some(link) = cluster.nodes.iter().position(|known| known == node) {
            if self.links[link].is_retired {
                self.links[link].is_retired = false;
                self.redial(link);
            }
            return link;
        }
        let link = self.links.len();
        cluster.nodes.push(node.clone());
        let dialer = Arc::new(cluster.dialer.at(node.clone()));
        let channel = connect::channel(&self.owners, link);
        info!(%node, "the cluster has one more node with locks");
        let new = Link::undialled(dialer, channel, failure::disconnected());
        self.links.push(new);
        self.redial(link);
        link
    }

    /// Returns whether the bucket had another link before. Then its waiters have to ask again: their
    /// places in the queue name a channel of the node before.
    fn assign(&mut self, bucket: u16, link: usize) -> bool {
        let Some(cluster) = &mut self.cluster else {
            return false;
        };
        let present = &mut cluster.links[usize::from(bucket)];
        std::mem::replace(present, link) != link
    }

    /// Gives the connections up to nodes that have no slots any longer.
    fn retire_links(&mut self) {
        let Some(cluster) = &self.cluster else {
            return;
        };
        let in_use = |link: usize| {
            let home = self.links[link].beside.map_or(link, |beside| beside.home);
            cluster.links.contains(&home)
        };
        let unused: Vec<usize> = (0..self.links.len())
            .filter(|link| !in_use(*link) && !self.links[*link].is_retired)
            .collect();
        for link in unused {
            let is_busy = self.in_flight.values().any(|by| *by == link);
            if !is_busy && self.links[link].outgoing.is_empty() {
                self.links[link].retire();
            }
        }
    }
}
