//! Finds out whether a pooler gives each transaction another server process.

use std::time::Duration;

use futures_util::StreamExt as _;
use lockattr::backend::BackendError;
use tokio_postgres::{Client, Error};

use crate::failure;
use crate::tls::Tls;
use crate::url::Url;

/// Two connections of a pooler in transaction mode share server processes: one that was given back by the first is the
/// next one of the second, whether the pooler prefers the process that was used last, as `PgBouncer` does, or takes them
/// in turn. A connection of a server's own has one process for its whole life.
///
/// # Errors
///
/// When the server cannot be asked.
pub(crate) async fn is_pooled(
    first: &Client,
    url: &Url,
    tls: &Tls,
    within: Duration,
) -> Result<bool, BackendError> {
    let (second, mut traffic) = tls.connect(url, within).await?;
    let reading = tokio::spawn(async move { while traffic.next().await.is_some() {} });
    let found = share_processes(first, &second, within / 2).await;
    drop(second);
    reading.abort();
    found.map_err(|error| failure::of(&error))
}

async fn share_processes(first: &Client, second: &Client, most: Duration) -> Result<bool, Error> {
    first.batch_execute("begin").await?;
    let of_first = process(first).await;
    let of_second = tokio::time::timeout(most, process(second)).await;
    first.batch_execute("commit").await?;
    let Ok(of_second) = of_second else {
        // A pooler with one server process has none for the second.
        return Ok(true);
    };
    let (of_first, of_second) = (of_first?, of_second?);
    for _ in 0..3 {
        // The first one gave its process back last.
        if process(first).await? != of_first || process(second).await? != of_second {
            return Ok(true);
        }
    }
    Ok(of_first == of_second)
}

async fn process(client: &Client) -> Result<i32, Error> {
    let asked = client
        .query_typed_one("select pg_backend_pid()", &[])
        .await?;
    asked.try_get(0)
}
