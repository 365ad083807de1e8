//! The pools that a process has installed.
//!
//! Every call of a locked function looks a pool up here. There is no mutex, also because a forked
//! process could inherit it locked.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::LockPool;
use crate::Error;

static INSTALLED: ArcSwapOption<Pools> = ArcSwapOption::const_empty();

#[derive(Clone, Default)]
struct Pools {
    global: Option<LockPool>,
    named: HashMap<Arc<str>, LockPool>,
}

impl Pools {
    fn get(&self, name: Option<&str>) -> Option<&LockPool> {
        match name {
            None => self.global.as_ref(),
            Some(name) => self.named.get(name),
        }
    }

    fn check_vacant(&self, name: Option<&str>) -> Result<(), Error> {
        // A pool that was shut down, or inherited from the parent of a forked process, is replaced.
        match self.get(name) {
            Some(pool) if pool.commands().is_usable() => Err(Error::AlreadyInstalled {
                pool: name.map(Arc::from),
            }),
            _ => Ok(()),
        }
    }

    fn with(&self, name: Option<&str>, pool: LockPool) -> Result<Self, Error> {
        self.check_vacant(name)?;
        let mut pools = self.clone();
        match name {
            None => pools.global = Some(pool),
            Some(name) => drop(pools.named.insert(name.into(), pool)),
        }
        Ok(pools)
    }
}

/// Returns the pool of this name; without a name, that of the process.
pub(super) fn find(name: Option<&str>) -> Result<LockPool, Error> {
    let installed = INSTALLED.load();
    let pool = installed.as_ref().and_then(|pools| pools.get(name));
    pool.cloned().ok_or_else(|| Error::NotConfigured {
        pool: name.map(Arc::from),
    })
}

pub(super) fn check_vacant(name: Option<&str>) -> Result<(), Error> {
    let installed = INSTALLED.load();
    let pools = installed.as_ref();
    pools.map_or(Ok(()), |pools| pools.check_vacant(name))
}

pub(super) fn install(name: Option<&str>, pool: LockPool) -> Result<LockPool, Error> {
    let mut outcome = Ok(());
    // If several threads install at once, one wins, and the others find its pool here.
    INSTALLED.rcu(|installed| {
        let before = installed.as_deref().cloned().unwrap_or_default();
        let after = before.with(name, pool.clone());
        outcome = after.as_ref().map(drop).map_err(Error::clone);
        after.map_or_else(|_| installed.clone(), |pools| Some(Arc::new(pools)))
    });
    outcome.map(|()| pool)
}
