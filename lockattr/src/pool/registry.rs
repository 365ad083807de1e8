//! The pools that a process has installed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use once_cell::sync::{Lazy, OnceCell};

use super::LockPool;
use crate::Error;

static GLOBAL: OnceCell<LockPool> = OnceCell::new();
static NAMED: Lazy<Mutex<HashMap<String, LockPool>>> = Lazy::new(Mutex::default);

pub(super) fn global() -> Result<LockPool, Error> {
    GLOBAL
        .get()
        .cloned()
        .ok_or(Error::NotConfigured { pool: None })
}

pub(super) fn named(name: &str) -> Result<LockPool, Error> {
    let pools = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
    pools
        .get(name)
        .cloned()
        .ok_or_else(|| Error::NotConfigured {
            pool: Some(name.into()),
        })
}

pub(super) fn install_global(pool: LockPool) -> Result<LockPool, Error> {
    match GLOBAL.try_insert(pool) {
        Ok(pool) => Ok(pool.clone()),
        Err(_) => Err(Error::AlreadyInstalled { pool: None }),
    }
}

pub(super) fn install_named(name: &str, pool: LockPool) -> Result<LockPool, Error> {
    let mut pools = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
    if pools.contains_key(name) {
        return Err(Error::AlreadyInstalled {
            pool: Some(name.into()),
        });
    }
    pools.insert(name.to_owned(), pool.clone());
    Ok(pool)
}
