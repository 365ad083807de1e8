//! A service that exports its metrics for Prometheus. `RUN_FOR=600` lets it run for ten minutes, `PORT` says where
//! `/metrics` is: the dashboard in docs/grafana shows it.

use std::time::Duration;

use axum::routing::get;
use lockattr::{Error, LockPool, distributed_lock};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::time::{Instant, sleep, timeout};

/// Without buckets the exporter makes summaries, of which no percentile over several processes can be made.
const BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0,
];

fn recorder() -> anyhow::Result<PrometheusHandle> {
    let prefix = Matcher::Prefix("lockattr_".to_owned());
    let builder = PrometheusBuilder::new().set_buckets_for_metric(prefix, BUCKETS)?;
    Ok(builder.install_recorder()?)
}

#[distributed_lock(key = "order:{order}", ttl = "3s", wait = "250ms")]
async fn pay(order: u32) -> Result<(), Error> {
    sleep(Duration::from_millis(fastrand::u64(1..60))).await;
    Ok(())
}

#[distributed_lock(key = "stock", ttl = "3s", wait = "1s")]
async fn sell() -> Result<(), Error> {
    sleep(Duration::from_millis(fastrand::u64(0..5))).await;
    Ok(())
}

/// Buys until the time is over.
async fn customer(until: Instant) {
    while Instant::now() < until {
        let bought = if fastrand::bool() {
            pay(fastrand::u32(0..8)).await
        } else {
            sell().await
        };
        if let Err(error) = bought {
            tracing::debug!(%error, "not bought");
        }
        sleep(Duration::from_millis(fastrand::u64(0..100))).await;
    }
}

/// A variable of the environment, if it is set.
fn number(name: &str) -> anyhow::Result<Option<u16>> {
    let text = std::env::var(name).ok();
    Ok(text.map(|text| text.parse()).transpose()?)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let scrape = recorder()?;
    examples::install().await?;

    let metrics = get(async move || scrape.render());
    let port = number("PORT")?.unwrap_or(0);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let url = format!("http://{}/metrics", listener.local_addr()?);
    println!("{url}");
    let routes = axum::Router::new().route("/metrics", metrics);
    tokio::spawn(axum::serve(listener, routes).into_future());

    let until = Instant::now() + Duration::from_secs(number("RUN_FOR")?.unwrap_or(1).into());
    let customers: Vec<_> = (0..16).map(|_| tokio::spawn(customer(until))).collect();
    for customer in customers {
        customer.await?;
    }

    let text = timeout(Duration::from_secs(20), reqwest::get(&url)).await??;
    let text = text.error_for_status()?.text().await?;
    for line in text.lines().filter(|line| line.contains("_seconds_count")) {
        println!("{line}");
    }
    let label = r#"lock="order:{order}",function="metrics::pay",outcome="acquired""#;
    anyhow::ensure!(text.contains(label), "nothing was counted: {text}");
    LockPool::installed()?
        .shutdown(Duration::from_secs(5))
        .await?;
    Ok(())
}
