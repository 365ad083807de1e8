//! A service that ends without `shutdown()`: `terminated URL KEY held|asking multi|current` locks the
//! key, or has asked for it, says so, and returns from `main` at a SIGTERM.

use std::env;
use std::future::pending;
use std::time::Duration;

use lockattr::{Error, LockPool, distributed_lock};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

#[distributed_lock(key = "{key}", ttl = "600s", wait = "600s")]
async fn job(key: &str) -> Result<(), Error> {
    println!("held");
    pending().await
}

#[distributed_lock(key = "warm:{key}")]
async fn load_the_scripts(key: &str) -> Result<(), Error> {
    Ok(())
}

async fn serve(url: &str, key: &str, until: &str) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate()).expect("a signal handler");
    LockPool::builder()
        .url(url)
        .default_ttl(Duration::from_secs(600))
        .install()
        .await?;
    load_the_scripts(key).await?;
    tokio::select! {
        biased;
        done = job(key) => done,
        () = async { println!("asking") }, if until == "asking" => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}

fn main() -> Result<(), Error> {
    let args: Vec<String> = env::args().collect();
    let [_, url, key, until, flavor] = args.as_slice() else {
        panic!("usage: terminated URL KEY held|asking multi|current")
    };
    let mut builder = match flavor.as_str() {
        "current" => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    let runtime = builder.enable_all().build().expect("a runtime");
    runtime.block_on(serve(url, key, until))
}
