//! A service that ends without `shutdown()`: `terminated URL KEY held|asking|spawned multi|current`
//! locks the key itself, locks it in a task, or has asked for it; reports that; and returns from
//! `main` at a SIGTERM.

use std::env;
use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use lockattr::{Error, LockPool, distributed_lock};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

#[distributed_lock(key = "{key}", ttl = "600s", wait = "600s")]
async fn job(key: &str) -> Result<(), Error> {
    println!("holding");
    pending().await
}

#[distributed_lock(key = "warm:{key}")]
async fn load_the_scripts(key: &str) -> Result<(), Error> {
    Ok(())
}

async fn serve(url: &str, key: &str, until: &str) -> Result<(), Error> {
    LockPool::builder()
        .url(url)
        .default_ttl(Duration::from_secs(600))
        .install()
        .await?;
    load_the_scripts(key).await?;
    if until == "spawned" {
        let key = key.to_owned();
        return tokio::spawn(async move { job(&key).await })
            .await
            .expect("no panic");
    }
    tokio::select! {
        biased;
        done = job(key) => done,
        () = async { println!("asked") }, if until == "asking" => Ok(()),
    }
}

fn main() -> Result<(), Error> {
    let args: Vec<String> = env::args().collect();
    let [_, url, key, until, flavor] = args.as_slice() else {
        panic!("usage: terminated URL KEY held|asking|spawned multi|current")
    };
    let mut builder = match flavor.as_str() {
        "current" => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    let runtime = builder.enable_all().build().expect("a runtime");
    let is_spawned = until == "spawned";
    let (url, key, until) = (url.clone(), key.clone(), until.clone());
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).expect("a signal handler");
        let serve = async move { serve(&url, &key, &until).await };
        let serve = if is_spawned {
            // The runtime drops its tasks, at a place of the runtime's choice.
            Box::pin(async { tokio::spawn(serve).await.expect("no panic") })
        } else {
            Box::pin(serve) as Pin<Box<dyn Future<Output = _>>>
        };
        tokio::select! {
            done = serve => done,
            _ = terminate.recv() => Ok(()),
        }
    })
}
