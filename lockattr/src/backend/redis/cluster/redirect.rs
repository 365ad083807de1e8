//! What a node answers that does not have the slot.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::MOST_HOPS;
use crate::backend::redis::{Answer, RedisBackend, failure, names};
use crate::backend::{Attempt, Event};

/// Where the attempts of a call go instead. Nothing of the call was executed.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Redirect {
    /// The slot has moved.
    Moved { host: String, port: u16 },
    /// The slot is moving, and these names are there already.
    Ask { host: String, port: u16 },
}

impl Redirect {
    pub(in super::super) fn of(error: &RedisError) -> Option<Self> {
        let (node, _) = error.redirect_node()?;
        let (host, port) = node.rsplit_once(':')?;
        let (host, port) = (host.to_owned(), port.parse().ok()?);
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::Moved) => Some(Self::Moved { host, port }),
            ErrorKind::Server(ServerErrorKind::Ask) => Some(Self::Ask { host, port }),
            _ => None,
        }
    }
}

impl RedisBackend {
    /// Sends the attempts of a call to the node that was named. One that nobody waits for any longer
    /// is left.
    pub(in super::super) fn send_on(&mut self, answer: Answer, redirect: &Redirect) {
        let Answer {
            link,
            attempts,
            hops,
            ..
        } = answer;
        let mut wanted: Vec<Attempt> = attempts;
        wanted.retain(|attempt| self.in_flight.remove(&attempt.id).is_some());
        let (Redirect::Moved { host, port } | Redirect::Ask { host, port }) = redirect;
        let from = self.cluster.as_ref().and_then(|it| it.nodes.get(link));
        let node = from.map(|from| from.with(host, *port));
        let Some(node) = node.filter(|_| hops < MOST_HOPS) else {
            return self.fail(wanted);
        };
        let home = self.link_at(&node);
        if matches!(redirect, Redirect::Moved { .. }) {
            let mut buckets: Vec<u16> = wanted.iter().map(|it| names::bucket(it.key())).collect();
            buckets.dedup();
            let mut has_moved = false;
            for bucket in buckets {
                has_moved |= self.assign(bucket, home);
            }
            if has_moved {
                self.done.push_back(Event::Reconnected);
            }
            // Other slots may have moved with it.
            self.rediscover();
        }
        let asks = matches!(redirect, Redirect::Ask { .. });
        let confirmation = wanted.first().and_then(|attempt| attempt.confirmation);
        let to = confirmation.map_or(home, |asked| self.link_beside(home, asked));
        if self.links[to].connection.is_some() && confirmation.is_some() {
            self.send_beside(to, vec![wanted], hops + 1, asks);
        } else if self.links[to].connection.is_some() {
            self.send_hop(to, wanted, hops + 1, asks);
        } else if asks {
            self.fail(wanted);
        } else {
            self.links[to].outgoing.extend(wanted);
        }
    }

    fn fail(&mut self, attempts: Vec<Attempt>) {
        for attempt in attempts {
            let failed = failure::not_sent(failure::slot_is_moving());
            self.done.push_back(Event::Done(attempt.id, Err(failed)));
        }
    }
}
