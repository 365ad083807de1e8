//! A rush of buyers over HTTP for an item of which there are few.
//!
//! Look at the stock: with the lock exactly as many are sold as there were; without it more are.
//! A buyer who finds the item locked gets 409 with `Retry-After`, and comes again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Router, serve};
use lockattr::distributed_lock;

const STOCK: i64 = 20;
const BUYERS: usize = 100;

#[derive(Clone, Default)]
struct Shop(Arc<Mutex<HashMap<String, i64>>>);

impl Shop {
    fn stock(&self, item: &str) -> i64 {
        *self
            .0
            .lock()
            .expect("nobody panics here")
            .entry(item.to_owned())
            .or_insert(STOCK)
    }

    /// As any shop that looks first and books later.
    async fn sell(&self, item: &str) -> Result<String, ShopError> {
        let stock = self.stock(item);
        if stock <= 0 {
            return Err(ShopError::SoldOut);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
        *self
            .0
            .lock()
            .expect("nobody panics here")
            .get_mut(item)
            .expect("it was looked at") -= 1;
        Ok(format!("number {}\n", STOCK - stock + 1))
    }
}

#[derive(Debug, thiserror::Error)]
enum ShopError {
    #[error("sold out")]
    SoldOut,
    #[error(transparent)]
    Lock(#[from] lockattr::Error),
}

impl IntoResponse for ShopError {
    fn into_response(self) -> Response {
        let (status, retry_after) = match &self {
            Self::SoldOut => (StatusCode::GONE, None),
            Self::Lock(error @ lockattr::Error::Busy { .. }) => {
                (StatusCode::CONFLICT, error.retry_after())
            }
            Self::Lock(error @ lockattr::Error::Backend { .. }) => {
                (StatusCode::SERVICE_UNAVAILABLE, error.retry_after())
            }
            Self::Lock(_) => (StatusCode::INTERNAL_SERVER_ERROR, None),
        };
        let mut response = (status, self.to_string()).into_response();
        if let Some(after) = retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, after.as_secs().into());
        }
        response
    }
}

#[distributed_lock(key = "item:{item}", ttl = "5s", wait = "20ms")]
async fn buy(State(shop): State<Shop>, Path(item): Path<String>) -> Result<String, ShopError> {
    shop.sell(&item).await
}

async fn buy_unlocked(
    State(shop): State<Shop>,
    Path(item): Path<String>,
) -> Result<String, ShopError> {
    shop.sell(&item).await
}

/// How often a buyer was told to come again, and whether it got one.
async fn buyer(client: reqwest::Client, url: String) -> anyhow::Result<(u32, bool)> {
    let mut refused = 0;
    loop {
        let response = client.post(&url).send().await?;
        match response.status().as_u16() {
            200 => return Ok((refused, true)),
            410 => return Ok((refused, false)),
            409 => anyhow::ensure!(
                response.headers().contains_key("retry-after"),
                "409 without Retry-After"
            ),
            status => anyhow::bail!("unexpected status {status}"),
        }
        refused += 1;
        // A real buyer waits as Retry-After says; this one is in a hurry.
        tokio::time::sleep(Duration::from_millis(fastrand::u64(5..50))).await;
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    examples::install().await?;
    let shop = Shop::default();
    let routes = Router::new()
        .route("/buy/{item}", post(buy))
        .route("/buy-unlocked/{item}", post(buy_unlocked));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(serve(listener, routes.with_state(shop.clone())).into_future());

    println!("{BUYERS} buyers, {STOCK} in stock");
    for (how, path, item) in [
        ("without the lock", "buy-unlocked", "shoe"),
        ("with the lock", "buy", "hat"),
    ] {
        let client = reqwest::Client::new();
        let buyers: Vec<_> = (0..BUYERS)
            .map(|_| {
                tokio::spawn(buyer(
                    client.clone(),
                    format!("http://{address}/{path}/{item}"),
                ))
            })
            .collect();
        let (mut sold, mut refused) = (0, 0);
        for buyer in buyers {
            let (times, got_one) = buyer.await??;
            sold += i64::from(got_one);
            refused += times;
        }
        let stock = shop.stock(item);
        println!("{how:16}: {sold:3} sold, stock {stock:3}, told to come again {refused} times");
        if path == "buy" {
            assert_eq!((sold, stock), (STOCK, 0));
        }
    }
    Ok(())
}
