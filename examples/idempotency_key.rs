//! Requests with the same `Idempotency-Key` are processed one at a time, by a layer around all routes.
//!
//! The handlers know nothing of it. The second request comes while the first one is processed, and is told
//! to come again; after that it would find what the first one did.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::IntoResponse;
use axum::routing::post;
use lockattr::{LockLayer, LockPool, LockRequest, key};
use tokio::sync::Notify;

/// The lock that a request needs: none without an `Idempotency-Key`.
fn lock_of(locks: LockPool) -> impl Fn(&Request) -> Option<LockRequest> + Clone {
    move |request| {
        let id = request.headers().get("idempotency-key")?.to_str().ok()?;
        let path = request.uri().path();
        let lock = locks.lock(key!("request:{path}:{id}"));
        Some(lock.ttl(Duration::from_secs(10)).wait(Duration::ZERO))
    }
}

#[derive(Default)]
struct Payments {
    begun: Notify,
    may_end: Notify,
}

/// A payment that takes until the next one has been refused.
async fn pay(State(payments): State<Arc<Payments>>) -> &'static str {
    println!("a payment begins");
    payments.begun.notify_one();
    payments.may_end.notified().await;
    "paid\n"
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let pool = examples::install().await?;
    let payments = Arc::new(Payments::default());
    let locks = LockLayer::new(lock_of(pool.clone()), |error| Ok(error.into_response()));
    let routes = axum::Router::new()
        .route("/pay", post(pay))
        .layer(locks)
        .with_state(Arc::clone(&payments));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/pay", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, routes).into_future());

    let client = reqwest::Client::new();
    let send = || {
        client
            .post(&url)
            .header("idempotency-key", "8e03978e")
            .send()
    };
    let first = tokio::spawn(send());
    payments.begun.notified().await;
    let second = send().await?;
    println!(
        "the second one: {}, Retry-After {:?}",
        second.status(),
        second.headers()["retry-after"]
    );
    anyhow::ensure!(second.status().as_u16() == 409, "two payments at once");
    println!("{}", second.text().await?);
    payments.may_end.notify_one();
    println!(
        "the first one: {}",
        first.await??.error_for_status()?.text().await?
    );
    pool.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}
