//! What this process knows of the node of one owner.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;
use std::sync::Arc;

use lockattr::Mode;
use lockattr::backend::{Claim, Granted, OwnerId};
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

use crate::guarded::Guarded;
use crate::names::{TOKENS_PER_NODE, place_prefix};
use crate::session::Session;

/// An owner that has a node, or may have one.
pub(crate) struct Owned {
    pub(crate) owner: OwnerId,
    /// The node of its key.
    pub(crate) path: String,
    pub(crate) mode: Mode,
    pub(crate) claim: Claim,
    /// The session that its node lives and ends with.
    pub(crate) session: Arc<Session>,
    /// What is asked about one owner is asked one after the other.
    pub(crate) turn: Mutex<()>,
    pub(crate) node: Guarded<Node>,
    pub(crate) phase: Guarded<Phase>,
    pub(crate) grant: Guarded<Option<Grant>>,
    /// What a waiter waits for; `None` if it should look.
    pub(crate) blocked_by: Guarded<Option<Blocker>>,
    /// Tells the task that attends to it that the phase has changed.
    pub(crate) changed: Notify,
    /// Whether a task attends to it.
    pub(crate) is_attended: Guarded<bool>,
}

/// What is on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Absent,
    /// It was asked for, and no answer came.
    Maybe,
    /// Its name in the node of the key, and the number of the transaction that created it.
    Present(String, i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// An acquire asks for it.
    Asking,
    Waiting,
    /// It has the key until then, unless it is renewed. Also of a node whose fate is not known.
    Holding(Instant),
    /// It has nothing, and gets nothing any more.
    Over,
}

#[derive(Debug, Clone)]
pub(crate) enum Blocker {
    Node(String),
    /// Any change among the places.
    Line,
}

/// The tokens of a node.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    first: Range<u64>,
    next: u64,
    end: u64,
}

impl Grant {
    pub(crate) fn new(first: u64, asked: u32) -> Self {
        let next = first + u64::from(asked).clamp(1, TOKENS_PER_NODE);
        Self {
            first: first..next,
            next,
            end: first + TOKENS_PER_NODE,
        }
    }

    pub(crate) fn granted(&self, contended: bool) -> Granted {
        Granted::new(self.first.clone(), contended)
    }

    /// Takes further tokens; `None` if there are no more. Before that it pretends that others wait, so
    /// that the lease is given back, and the next one has new tokens.
    pub(crate) fn reserve(&mut self, asked: u32, contended: bool) -> Option<Granted> {
        let end = (self.next + u64::from(asked)).min(self.end);
        let tokens = self.next..end;
        self.next = end;
        let is_short = self.end - end < TOKENS_PER_NODE / 4;
        (!tokens.is_empty()).then(|| Granted::new(tokens, contended || is_short))
    }
}

/// What stands for an owner in the name of its node. The client library traces names, and an owner id must not be in a log.
fn alias(owner: &OwnerId) -> String {
    let half = |half: u8| {
        let mut hasher = DefaultHasher::new();
        (half, owner.to_string()).hash(&mut hasher);
        hasher.finish()
    };
    format!("{:016x}-{:016x}", half(0), half(1))
}

impl Owned {
    /// The beginning of the name of its node.
    pub(crate) fn prefix(&self) -> String {
        place_prefix(&alias(&self.owner), self.session.id(), self.mode)
    }

    pub(crate) fn path_of(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.phase.get() == Phase::Over
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.changed.notify_one();
    }

    /// Lets its lease last until then at least.
    pub(crate) fn prolong(&self, until: Instant) {
        let until = match self.phase.get() {
            Phase::Holding(before) => before.max(until),
            _ => until,
        };
        self.enter(Phase::Holding(until));
    }

    pub(crate) fn has_key(&self) -> bool {
        matches!(self.phase.get(), Phase::Holding(_)) && self.grant.lock().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_good_for_256_tokens() {
        let mut grant = Grant::new(512, 5);
        assert_eq!(grant.granted(false).tokens, 512..517);
        let more = grant.reserve(3, false).unwrap();
        assert_eq!((more.tokens, more.contended), (517..520, false));
        let many = grant.reserve(200, false).unwrap();
        assert_eq!((many.tokens, many.contended), (520..720, true));
        assert_eq!(grant.reserve(200, false).unwrap().tokens, 720..768);
        assert!(grant.reserve(1, false).is_none());
        assert_eq!(grant.granted(true).tokens, 512..517);
        assert_eq!(Grant::new(256, 1000).granted(false).tokens, 256..512);
    }
}
