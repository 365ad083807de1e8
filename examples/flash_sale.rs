//! Many buyers want an item of which there are few, over HTTP.
//!
//! Look at the stock: with the lock, exactly the stock is sold; without it, more. A buyer who finds
//! the item locked gets 409 with `Retry-After`, and comes again.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use lockattr::distributed_lock;

const STOCK: i64 = 20;
const BUYERS: usize = 200;

type Stock = Arc<AtomicI64>;

#[derive(Debug, thiserror::Error)]
enum ShopError {
    #[error("sold out")]
    SoldOut,
    #[error(transparent)]
    Lock(#[from] lockattr::Error),
}

impl IntoResponse for ShopError {
    fn into_response(self) -> Response {
        match self {
            Self::SoldOut => (StatusCode::GONE, self.to_string()).into_response(),
            Self::Lock(error) => error.into_response(),
        }
    }
}

#[distributed_lock(key = "item:{item}", ttl = "5s", wait = "20ms")]
async fn buy(State(stock): State<Stock>, Path(item): Path<String>) -> Result<String, ShopError> {
    sell(&stock, &item).await
}

async fn buy_unlocked(
    State(stock): State<Stock>,
    Path(item): Path<String>,
) -> Result<String, ShopError> {
    sell(&stock, &item).await
}

/// Like a shop that first reads the stock and later writes it.
async fn sell(stock: &AtomicI64, item: &str) -> Result<String, ShopError> {
    if stock.load(Ordering::SeqCst) <= 0 {
        return Err(ShopError::SoldOut);
    }
    tokio::time::sleep(Duration::from_millis(2)).await;
    let left = stock.fetch_sub(1, Ordering::SeqCst) - 1;
    Ok(format!("one {item} sold, {left} left\n"))
}

/// Returns how often the buyer was told to come again, and whether it bought an item.
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
        // A real buyer waits as `Retry-After` says; this one waits less.
        tokio::time::sleep(Duration::from_millis(fastrand::u64(5..50))).await;
    }
}

/// Opens a new shop, and returns how many items were sold and the final stock.
async fn sale(path: &str) -> anyhow::Result<(i64, i64)> {
    let stock = Stock::new(AtomicI64::new(STOCK));
    let routes = axum::Router::new()
        .route("/buy/{item}", post(buy))
        .route("/buy-unlocked/{item}", post(buy_unlocked))
        .with_state(Arc::clone(&stock));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/{path}/hat", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, routes).into_future());

    let client = reqwest::Client::new();
    let buyers: Vec<_> = (0..BUYERS)
        .map(|_| tokio::spawn(buyer(client.clone(), url.clone())))
        .collect();
    let (mut sold, mut refused) = (0, 0);
    for buyer in buyers {
        let (times, got_one) = buyer.await??;
        sold += i64::from(got_one);
        refused += times;
    }
    let left = stock.load(Ordering::SeqCst);
    println!("/{path:12}: {sold:3} sold, stock {left:4}, told to come again {refused} times");
    Ok((sold, left))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    examples::install().await?;
    println!("{BUYERS} buyers, {STOCK} in stock");
    sale("buy-unlocked").await?;
    let with_lock = sale("buy").await?;
    anyhow::ensure!(with_lock == (STOCK, 0), "oversold under the lock");
    Ok(())
}
