//! Locks on etcd.

mod access;
mod conforming;
mod looking;
mod losses;
mod places;

use lockattr::{Guard, LockPool, LockPoolBuilder};
use lockattr_tests::Service;

fn builder(url: impl AsRef<str>) -> LockPoolBuilder {
    LockPool::builder()
        .engine(lockattr_etcd::Etcd::new())
        .url(url)
}

async fn hold(pool: &LockPool, key: &str) -> Guard {
    let request = pool.lock(key).wait(Service::LONG);
    request.acquire().await.unwrap()
}
