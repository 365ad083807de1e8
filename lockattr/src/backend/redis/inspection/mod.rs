//! Answers to questions about locks: who has them, of the pools of all processes with this prefix.

mod ask;
mod places;
mod stored;

use std::sync::Arc;

use super::cluster::Cluster;
use super::names::{self, Names};
use super::voice::Voice;
use super::{RedisBackend, link_of};
use crate::backend::{BackendError, BackendErrorKind, Inspected, Inspection, Inspector};
use crate::holder::Holder;
use crate::key::Key;
use ask::Connections;

impl RedisBackend {
    pub(super) fn answers(&self) -> Inspector {
        let servers = Arc::new(Servers {
            names: self.names.clone(),
            connections: Connections::of(self),
            cluster: self.cluster.clone(),
            homes: self.homes,
            voice: self.voice,
        });
        Box::new(move |inspection| {
            let servers = Arc::clone(&servers);
            Box::pin(async move { servers.answer(inspection).await.map_err(with_rights) })
        })
    }
}

/// The pool's servers, as its backend knew them when it was asked.
struct Servers {
    names: Names,
    connections: Connections,
    cluster: Option<Cluster>,
    homes: usize,
    voice: Voice,
}

impl Servers {
    async fn answer(&self, inspection: Inspection) -> Result<Inspected, BackendError> {
        match inspection {
            Inspection::Keys(keys) => {
                let holders = self.holders(&keys).await?;
                Ok(Inspected::new(holders, None))
            }
            Inspection::Page { prefix, after } => self.page(&prefix, after.as_deref()).await,
            Inspection::Queue { key, limit } => {
                let at = (self.link_of(&key), self.cluster.as_ref());
                let call = ask::queue(&self.lock(&key), limit);
                let answer = self.connections.ask(at, call).await?;
                Ok(Inspected::of_queue(places::queue(&answer)?))
            }
            Inspection::ForceRelease(key) => {
                let at = (self.link_of(&key), self.cluster.as_ref());
                let call = ask::take_away(&self.lock(&key), &self.names, self.cluster.is_some());
                let answer = self.connections.ask(at, call).await?;
                Ok(Inspected::new(stored::holders(&key, &answer)?, None))
            }
        }
    }

    async fn holders(&self, keys: &[Key]) -> Result<Vec<Holder>, BackendError> {
        let mut by_link: Vec<(usize, Vec<&Key>)> = Vec::new();
        for key in keys {
            let link = self.link_of(key);
            match by_link.iter_mut().find(|(of, _)| *of == link) {
                Some((_, keys)) => keys.push(key),
                None => by_link.push((link, vec![key])),
            }
        }
        let mut found = Vec::new();
        for (link, keys) in by_link {
            let locks: Vec<String> = keys.iter().map(|key| self.lock(key)).collect();
            let mut calls: Vec<_> = locks.iter().map(|lock| ask::inspect_again(lock)).collect();
            // Makes the script known to the server.
            calls[0] = ask::inspect(&locks[0]);
            let answers = self.connections.ask_all(link, &calls).await?;
            for ((key, lock), answer) in keys.into_iter().zip(&locks).zip(answers) {
                let at = (link, self.cluster.as_ref());
                let following = self.connections.follow(at, ask::inspect(lock), answer);
                found.extend(stored::holders(key, &following.await?)?);
            }
        }
        Ok(found)
    }

    async fn page(&self, prefix: &str, after: Option<&str>) -> Result<Inspected, BackendError> {
        if self.voice == Voice::Scripts {
            let said = "a proxy passes no SCAN on; ask for single keys, or by a pool that connects to the \
                        servers themselves";
            return Err(BackendError::new(BackendErrorKind::Refused, said));
        }
        let masters = self.masters();
        let (cursor, node) = after.and_then(|at| at.split_once(' ')).unwrap_or_default();
        // The node may be gone.
        let place = masters.partition_point(|(name, _)| name.as_str() < node);
        let Some((name, link)) = masters.get(place) else {
            return Ok(Inspected::default());
        };
        let cursor = if name == node && !cursor.is_empty() {
            cursor
        } else {
            "0"
        };
        let pattern = self.names.locks_of(prefix);
        let (next, names) = self.connections.scan(*link, cursor, &pattern).await?;
        let mut keys: Vec<Key> = names
            .iter()
            .filter_map(|it| self.names.key_of(it))
            .collect();
        // It may name one twice.
        keys.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        keys.dedup();
        let next = if next == "0" {
            let next = masters.get(place + 1);
            next.map(|(name, _)| format!("0 {name}"))
        } else {
            Some(format!("{next} {name}"))
        };
        Ok(Inspected::new(
            self.holders(&keys).await?,
            next.map(Into::into),
        ))
    }

    /// The servers that have locks, in the order of their names, with a link to each.
    fn masters(&self) -> Vec<(String, usize)> {
        let Some(cluster) = &self.cluster else {
            return vec![(String::new(), 0)];
        };
        let named = cluster.masters().into_iter();
        let named = named.map(|link| (cluster.node(link).to_string(), link));
        let mut masters: Vec<_> = named.collect();
        masters.sort_unstable();
        masters
    }

    fn link_of(&self, key: &Key) -> usize {
        match &self.cluster {
            Some(cluster) => cluster.link_of(key.as_str()),
            None => link_of(key.as_str(), self.homes),
        }
    }

    fn lock(&self, key: &Key) -> String {
        self.names.lock(names::bucket(key.as_str()), key)
    }
}

/// Names the rights that a pool needs for this alone.
fn with_rights(error: BackendError) -> BackendError {
    if !super::failure::is_about_rights(&error.to_string()) {
        return error;
    }
    let said = format!("{error} (who looks at locks needs +llen, +lrange and +scan)");
    BackendError::new(BackendErrorKind::Refused, said)
}
