//! The pool from which a function takes its lock.

use super::{LockPool, registry};
use crate::Error;

tokio::task_local! {
    static SCOPED: LockPool;
}

/// The pool that the attribute names.
#[derive(Debug)]
pub enum PoolSource {
    /// The pool installed for the process.
    Installed,
    /// The pool installed under a name.
    Named(&'static str),
    /// This pool.
    Given(LockPool),
}

impl PoolSource {
    pub(crate) fn resolve(self) -> Result<LockPool, Error> {
        let scoped = || SCOPED.try_with(Clone::clone).ok();
        match self {
            Self::Installed => scoped().map_or_else(|| registry::find(None), Ok),
            Self::Named(name) => scoped().map_or_else(|| registry::find(Some(name)), Ok),
            Self::Given(pool) => Ok(pool),
        }
    }
}

pub(super) fn scope<F: Future>(pool: LockPool, future: F) -> impl Future<Output = F::Output> {
    SCOPED.scope(pool, future)
}
