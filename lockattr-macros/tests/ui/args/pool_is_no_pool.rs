use std::sync::OnceLock;

use lockattr::{Error, LockPool, distributed_lock};

static POOL: OnceLock<LockPool> = OnceLock::new();

#[distributed_lock(key = "k", pool = id)]
async fn f(id: u64) -> Result<u64, Error> {
    Ok(id)
}

#[distributed_lock(key = "k", pool = POOL)]
async fn unset() -> Result<(), Error> {
    Ok(())
}

fn main() {}
