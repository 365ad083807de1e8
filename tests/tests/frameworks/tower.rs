//! A lock around the routes of a service, by a value of the request.

use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use axum::routing::post;
use lockattr::{LockLayer, LockPool, LockRequest, key};
use lockattr_tests::RedisServer;

use super::axum::serve;
use super::{Answer, Shop, clients_learn_what_happened, read};

async fn order(State(shop): State<Shop>) -> String {
    shop.order().await;
    lockattr::current().map_or_else(String::new, |lease| lease.key().to_owned())
}

fn by_idempotency_key(locks: LockPool) -> impl Fn(&Request) -> Option<LockRequest> + Clone {
    move |request| {
        let id = request.headers().get("idempotency-key")?.to_str().ok()?;
        let lock = locks.lock(key!("order:{id}"));
        Some(lock.ttl(Duration::from_millis(900)).wait(Duration::ZERO))
    }
}

fn router(shop: Shop) -> Router {
    let locks = LockLayer::new(by_idempotency_key(shop.locks.clone()), |error| {
        Ok(error.into_response())
    });
    Router::new()
        .route("/", post(order))
        .layer(locks)
        .with_state(shop)
}

#[tokio::test]
async fn requests_of_one_key_are_processed_one_at_a_time() {
    let server = RedisServer::start();
    let shop = Shop::open(&server).await;
    let url = serve(router(shop.clone())).await;
    let client = reqwest::Client::new();
    let ask = move || {
        let request = client.post(&url).header("idempotency-key", "7");
        async { read(request.send().await.unwrap()).await }
    };
    clients_learn_what_happened(server, shop, ask, Duration::from_secs(1)).await;
}

#[tokio::test]
async fn others_run_at_the_same_time() {
    let server = RedisServer::start();
    let shop = Shop::open(&server).await;
    let url = serve(router(shop.clone())).await;
    let client = reqwest::Client::new();
    let post = |id: Option<&'static str>| {
        let request = client.post(&url);
        let request = match id {
            Some(id) => request.header("idempotency-key", id),
            None => request,
        };
        tokio::spawn(async { request.send().await.unwrap() })
    };
    let all = [Some("7"), Some("8"), None, None].map(post);
    for _ in &all {
        shop.has_begun().await;
    }
    shop.may_end.add_permits(4);
    let mut keys = Vec::new();
    for response in all {
        keys.push(response.await.unwrap().text().await.unwrap());
    }
    assert_eq!(keys, ["order:7", "order:8", "", ""]);
}

/// A client that goes away does not leave its lock behind.
#[tokio::test]
async fn a_dropped_request_releases_its_lock() {
    let server = RedisServer::start();
    let shop = Shop::open(&server).await;
    let url = serve(router(shop.clone())).await;
    let client = reqwest::Client::new();
    let post = || client.post(&url).header("idempotency-key", "7").send();
    let leaves = tokio::spawn(post());
    shop.has_begun().await;
    leaves.abort();
    let wait = Duration::from_secs(10);
    let guard = shop.locks.lock("order:7").wait(wait).await.unwrap();
    assert!(matches!(read(post().await.unwrap()).await, Answer::Busy(_)));
    guard.release().await;
}
