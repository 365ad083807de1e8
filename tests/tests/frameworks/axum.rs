//! `lockattr::Error` as the error of an axum handler, and a problem that was changed.

use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use lockattr::{Problem, distributed_lock};
use lockattr_tests::RedisServer;

use super::{Answer, Shop, clients_learn_what_happened, read};

#[distributed_lock(key = "order:{id}", pool = shop.locks, ttl = "900ms", wait = "0s")]
async fn order(State(shop): State<Shop>, Path(id): Path<u64>) -> Result<(), lockattr::Error> {
    let _ = id;
    shop.order().await;
    Ok(())
}

/// Answers with another status than usual.
struct Locked(lockattr::Error);

impl From<lockattr::Error> for Locked {
    fn from(error: lockattr::Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Locked {
    fn into_response(self) -> Response {
        Problem::new(&self.0).with_status(423).into_response()
    }
}

#[distributed_lock(key = "order:7", pool = shop.locks, wait = "0s")]
async fn changed(State(shop): State<Shop>) -> Result<(), Locked> {
    shop.order().await;
    Ok(())
}

/// Serves until the end of the test. Returns the address.
pub(super) async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, router).into_future());
    format!("http://{address}")
}

#[tokio::test]
async fn an_error_is_an_answer() {
    let server = RedisServer::start();
    let shop = Shop::open(&server).await;
    let router = Router::new().route("/{id}", post(order));
    let url = serve(router.with_state(shop.clone())).await;
    let client = reqwest::Client::new();
    let ask = move || {
        let request = client.post(format!("{url}/7"));
        async { read(request.send().await.unwrap()).await }
    };
    clients_learn_what_happened(server, shop, ask, Duration::from_secs(1)).await;
}

#[tokio::test]
async fn an_answer_can_be_changed() {
    let server = RedisServer::start();
    let shop = Shop::open(&server).await;
    let _guard = shop.locks.lock("order:7").await.unwrap();
    let router = Router::new().route("/", post(changed));
    let url = serve(router.with_state(shop)).await;
    let response = reqwest::Client::new().post(url).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 423);
    assert!(matches!(read(response).await, Answer::Busy(Some(_))));
}
