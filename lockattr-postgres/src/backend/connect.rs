//! The start: the schema is checked, and the connections are dialled.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lockattr::backend::{BackendError, OwnerIds, Patience, Time};
use tokio::sync::mpsc::unbounded_channel;
use tokio_postgres::Client;
use tracing::info;

use super::PostgresBackend;
use crate::dial::Dialer;
use crate::link::Link;
use crate::options::Postgres;
use crate::schema::quoted;
use crate::tls::Tls;
use crate::turns::Turns;
use crate::url::Url;
use crate::{failure, pooler, schema};

impl PostgresBackend {
    pub(crate) async fn connect(
        options: &Postgres,
        url: Url,
        listen: Option<Url>,
        tls: Tls,
        owners: OwnerIds,
        patience: Patience,
    ) -> Result<Self, BackendError> {
        let (is_pooled, commit) = prepare(options, &url, &tls, patience).await?;
        let (inbox, reports) = unbounded_channel();
        let channel = format!("lockattr_{}", owners.prefix());
        let schema = url.schema.clone();
        let homes = options.connections.unwrap_or(1);
        let mut ways = vec![(url, is_pooled); homes];
        let listener = if let Some(listen) = listen {
            let schema = schema.clone();
            ways.push((Url { schema, ..listen }, false));
            Some(homes)
        } else {
            (!is_pooled).then_some(0)
        };
        let count = ways.len();
        let mut links = Vec::with_capacity(count);
        for (number, (url, is_pooled)) in ways.into_iter().enumerate() {
            let dialer = Arc::new(Dialer {
                url,
                tls: tls.clone(),
                is_pooled,
                channel: (listener == Some(number)).then(|| channel.clone()),
                within: patience.connect,
            });
            let session = dialer.dial((number, 0), inbox.clone()).await?;
            let error = failure::disconnected();
            links.push(Link::new(dialer, session, count == 1, error));
        }
        if listener.is_none() {
            info!(
                "a pooler is in the way, so no connection can listen: waiters ask for their turn every 10 to 250 ms"
            );
        }
        let sessions = links.iter().filter_map(|link| link.session.as_ref());
        let round_trip = sessions.map(|it| it.round_trip).fold(commit, Duration::max);
        Ok(Self {
            links,
            homes,
            schema,
            owners,
            patience: patience.response,
            listener,
            turns: Turns::new(),
            sweep_at: Some(super::next_sweep()),
            alarm: Box::pin(tokio::time::sleep(Duration::ZERO)),
            in_flight: HashMap::new(),
            done: VecDeque::new(),
            calls: FuturesUnordered::new(),
            inbox,
            reports,
            round_trip,
        })
    }
}

/// Checks the database once, or makes the schema. Returns whether a pooler is in the way, and how long a commit takes.
async fn prepare(
    options: &Postgres,
    url: &Url,
    tls: &Tls,
    patience: Patience,
) -> Result<(bool, Duration), BackendError> {
    let connected = tls.connect(url, patience.connect).await;
    let (client, mut traffic) = connected?;
    let reading = tokio::spawn(async move { while traffic.next().await.is_some() {} });
    schema::check(&client, &url.schema, options.creates_schema).await?;
    let is_pooled = match options.is_pooled {
        Some(is_pooled) => is_pooled,
        None => pooler::is_pooled(&client, url, tls, patience.connect).await?,
    };
    let commit = commit_time(&client, &url.schema, patience.response).await?;
    reading.abort();
    Ok((is_pooled, commit))
}

/// Returns how long a transaction may take that changes something: a handoff comes only when its commit is on the disk, and on
/// the synchronous standby. `most` if that has no end now.
async fn commit_time(
    client: &Client,
    schema: &str,
    most: Duration,
) -> Result<Duration, BackendError> {
    // A lock of a row that many may have at the same time.
    let ask = format!("select from {}.version for key share", quoted(schema));
    let sent_at = Time::now();
    match tokio::time::timeout(most, client.query_typed(&ask, &[])).await {
        // Others may take twice as long.
        Ok(Ok(_)) => Ok(Time::now().since(sent_at) * 2),
        Ok(Err(error)) => Err(failure::of(&error)),
        Err(_) => Ok(most),
    }
}
