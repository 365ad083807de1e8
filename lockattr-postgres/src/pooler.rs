//! Finds out whether a pooler gives each transaction another server process.

use futures_util::StreamExt as _;
use tokio_postgres::{Client, Error};

use crate::tls::Tls;
use crate::url::Url;

/// Two connections of a pooler in transaction mode share server processes: one that was given back by the first is the
/// next one of the second, whether the pooler prefers the process that was used last, as `PgBouncer` does, or takes them
/// in turn. A connection of a server's own has one process for its whole life.
///
/// # Errors
///
/// When the server cannot be asked.
pub(crate) async fn is_pooled(first: &Client, url: &Url, tls: &Tls) -> Result<bool, Error> {
    let (second, mut traffic) = tls.connect(&url.config).await?;
    let reading = tokio::spawn(async move { while traffic.next().await.is_some() {} });
    let found = share_processes(first, &second).await;
    drop(second);
    reading.abort();
    found
}

async fn share_processes(first: &Client, second: &Client) -> Result<bool, Error> {
    first.batch_execute("begin").await?;
    let of_first = process(first).await;
    let of_second = process(second).await;
    first.batch_execute("commit").await?;
    let (of_first, of_second) = (of_first?, of_second?);
    for _ in 0..3 {
        if process(second).await? != of_second || process(first).await? != of_first {
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
