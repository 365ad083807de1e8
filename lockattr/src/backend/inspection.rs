//! Questions to a lock service from outside of attempts.

use std::pin::Pin;
use std::sync::Arc;

use crate::error::BackendError;
use crate::holder::Holder;
use crate::key::Key;
use crate::queue::Queue;

/// What is asked about locks, for [`LockPool::holders`](crate::LockPool::holders) and its like.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Inspection {
    /// Who has these keys.
    Keys(Vec<Key>),
    /// Who has the keys that begin with this text.
    #[non_exhaustive]
    Page {
        /// The beginning of the keys, taken literally; empty for all.
        prefix: Arc<str>,
        /// Where to go on: the `next` of the page before. `None` for the first page.
        after: Option<Arc<str>>,
    },
    /// Who waits for the key.
    #[non_exhaustive]
    Queue {
        /// The key.
        key: Key,
        /// How many waiters are told at most; the others are counted.
        limit: usize,
    },
    /// Takes the key away from all that have it, also from one that has finished and keeps others out, and
    /// hands it to the first waiter as a release does. Asks who had it.
    ForceRelease(Key),
}

/// The answer to an [`Inspection`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspected {
    /// The holders: those of one key one after the other, by their tokens.
    pub holders: Vec<Holder>,
    /// Of a page: where the next one begins, in the backend's own words; `None` if it is the last. A page
    /// without holders need not be the last.
    pub next: Option<Arc<str>>,
    /// To [`Inspection::Queue`] only. `None` if the service does not say who waits: then
    /// [`LockPool::queue`](crate::LockPool::queue) is refused.
    pub queue: Option<Queue>,
}

impl Inspected {
    /// Makes an answer about holders.
    pub fn new(holders: Vec<Holder>, next: Option<Arc<str>>) -> Self {
        Self {
            holders,
            next,
            queue: None,
        }
    }

    /// Makes the answer to [`Inspection::Queue`].
    pub fn of_queue(queue: Queue) -> Self {
        Self {
            queue: Some(queue),
            ..Self::default()
        }
    }
}

/// An inspection of the service that is under way. It must end by itself when the service does not answer.
pub type Inspecting = Pin<Box<dyn Future<Output = Result<Inspected, BackendError>> + Send>>;

/// Asks a service, any number of times.
pub type Inspector = Box<dyn Fn(Inspection) -> Inspecting + Send + Sync>;
