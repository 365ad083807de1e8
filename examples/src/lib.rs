//! The code that the examples share: the pool, with the memory backend if no server is named.

pub mod etcd;
pub mod postgres;
pub mod processes;
pub mod servers;
pub mod zookeeper;

use lockattr::{Error, LockPool, LockPoolBuilder};

/// Returns whether the locks are on a server that other processes can reach too.
#[must_use]
pub fn has_server() -> bool {
    std::env::var_os("LOCKATTR_URL").is_some()
}

/// Installs the pool that `LOCKATTR_URL` names, or one in the memory of this process.
///
/// # Errors
///
/// The errors of [`LockPool::from_env`] and `install`.
pub async fn install() -> Result<LockPool, Error> {
    trace();
    if has_server() {
        println!("locks on the server that LOCKATTR_URL names");
    } else {
        println!("LOCKATTR_URL is not set: locks in the memory of this process");
    }
    builder()?.install().await
}

/// Builds one more pool of the same locks, as another process of the fleet has it.
///
/// # Errors
///
/// As [`install`].
pub async fn other_process() -> Result<LockPool, Error> {
    builder()?.build().await
}

fn builder() -> Result<LockPoolBuilder, Error> {
    if has_server() {
        LockPool::from_env()
    } else {
        // Pools of one name share their locks.
        Ok(LockPool::builder().url("memory://examples"))
    }
}

/// Prints the pools' events, as `RUST_LOG` says.
pub fn trace() {
    let filter =
        tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}
