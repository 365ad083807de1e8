//! After all disturbances, every process can still take every key.

use std::time::Duration;

use lockattr::{Error, LockPool};

use crate::Deployment;

/// Long against the round trips of a busy machine.
const TTL: Duration = Duration::from_secs(10);
/// How many waiters are named, if a key cannot be had.
const NAMED: usize = 16;

/// How long other processes may still hold a key at that time.
fn patience(deployment: Deployment) -> Duration {
    match deployment {
        // An ensemble on a busy machine chooses leaders again, and each gives all sessions their whole timeout. What
        // a session leaves behind while it lives stays longer than this.
        Deployment::ZooKeeper => Duration::from_secs(40),
        _ => Duration::from_secs(10),
    }
}

/// Takes the key alone, with all its permits if it has some.
///
/// # Errors
///
/// If it is not free in time. What is in the way is printed.
pub(super) async fn takes(
    pool: &LockPool,
    key: &str,
    permits: Option<u32>,
    deployment: Deployment,
) -> Result<(), Error> {
    let request = pool.lock(key).ttl(TTL).wait(patience(deployment));
    let request = match permits {
        Some(permits) => request.permits(permits).weight(permits),
        None => request,
    };
    match request.acquire().await {
        Ok(lease) => {
            lease.release().await;
            Ok(())
        }
        Err(error) => {
            eprintln!("holders: {:?}", pool.holders_of(key).await);
            eprintln!("queue: {:?}", pool.queue(key, NAMED).await);
            Err(error)
        }
    }
}
