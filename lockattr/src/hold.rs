//! STUB of the runtime, replaced when merged: only the signatures matter.
use crate::{Error, key::Key, spec::Spec};
use std::sync::{Mutex, atomic::{AtomicUsize, Ordering}};

/// Stub.
#[derive(Debug, Clone)]
pub struct LockPool;
/// Stub.
#[derive(Debug, Clone)]
pub struct Lease(u64);
impl Lease {
    /// Stub.
    pub fn fencing_token(&self) -> u64 { self.0 }
}

/// Stub of where the pool comes from.
#[derive(Debug)]
pub enum PoolSource { /** i */ Installed, /** n */ Named(&'static str), /** g */ Given(LockPool) }

/// Last key, for the macro's own tests until the runtime is there.
pub static LAST_KEY: Mutex<String> = Mutex::new(String::new());
/// Count.
pub static ENTERED: AtomicUsize = AtomicUsize::new(0);

/// Runs `body` under the lock; `refuse` makes the function's value out of an error.
pub async fn hold<R, F>(
    spec: &'static Spec,
    pool: PoolSource,
    key: Result<Key, Error>,
    refuse: impl FnOnce(Error) -> R,
    body: impl FnOnce(Lease) -> F,
) -> R
where
    F: Future<Output = R>,
{
    let _ = (spec, pool);
    let key = match key { Ok(key) => key, Err(error) => return refuse(error) };
    *LAST_KEY.lock().unwrap() = key.to_string();
    if key.as_str() == "busy" { return refuse(Error::Closed) }
    ENTERED.fetch_add(1, Ordering::SeqCst);
    body(Lease(42)).await
}
