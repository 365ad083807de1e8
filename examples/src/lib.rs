//! The code that the examples share: the pool, with the memory backend if no server is named.

pub mod processes;
pub mod servers;

use lockattr::{Error, LockPool};

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
        LockPool::from_env()?.install().await
    } else {
        println!("LOCKATTR_URL is not set: locks in the memory of this process");
        LockPool::builder().url("memory://").install().await
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
