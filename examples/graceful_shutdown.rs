//! A service that ends at SIGTERM without leaving a lock behind.
//!
//! A running request finishes under its lock; a background job without an end is stopped; then all
//! locks are released, and only then the process ends. Here the service sends the signal to itself,
//! while a request runs.

use std::process::{self, Command};
use std::time::Duration;

use axum::extract::Path;
use axum::routing::post;
use lockattr::distributed_lock;
use tokio::signal::unix::{SignalKind, signal};

#[distributed_lock(key = "report:{name}", ttl = "10s")]
async fn report(Path(name): Path<String>) -> Result<String, lockattr::Error> {
    println!("the report runs; now comes SIGTERM");
    let pid = process::id().to_string();
    let kill = Command::new("kill").args(["-TERM", &pid]).status();
    kill.expect("there is a `kill`");
    tokio::time::sleep(Duration::from_millis(200)).await;
    Ok(format!("the report {name} is written"))
}

#[distributed_lock(key = "leader", ttl = "10s")]
async fn lead() -> Result<(), lockattr::Error> {
    println!("this process leads");
    std::future::pending().await
}

async fn request(url: String) -> anyhow::Result<String> {
    let answer = reqwest::Client::new().post(url).send().await?;
    Ok(answer.error_for_status()?.text().await?)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let pool = examples::install().await?;
    let mut terminate = signal(SignalKind::terminate())?;

    let leader = tokio::spawn(lead());
    let routes = axum::Router::new().route("/report/{name}", post(report));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/report/daily", listener.local_addr()?);
    let client = tokio::spawn(request(url));

    // A service needs this: it serves until the signal, and then releases its locks.
    let terminated = async move {
        terminate.recv().await;
    };
    axum::serve(listener, routes)
        .with_graceful_shutdown(terminated)
        .await?;
    pool.shutdown(Duration::from_secs(5)).await?;

    println!("the client got: {}", client.await??);
    match leader.await? {
        Err(error) if error.is_lost() => println!("the leader stopped: {error}"),
        ended => anyhow::bail!("the leader was not stopped: {ended:?}"),
    }
    Ok(())
}
