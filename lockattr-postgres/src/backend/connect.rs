//! The start: the schema is checked, and the connections are dialled.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lockattr::backend::{BackendError, OwnerIds, Patience};
use tokio::sync::mpsc::unbounded_channel;
use tracing::info;

use super::PostgresBackend;
use crate::dial::Dialer;
use crate::link::Link;
use crate::options::Postgres;
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
        let is_pooled = prepare(options, &url, &tls).await?;
        let (inbox, reports) = unbounded_channel();
        let channel = format!("lockattr_{}", owners.prefix());
        let schema = url.schema.clone();
        let homes = options.connections.unwrap_or(1);
        let mut ways = vec![(url, is_pooled, false); homes];
        let listener = match listen {
            Some(listen) => {
                let listen = Url {
                    schema: schema.clone(),
                    ..listen
                };
                ways.push((listen, false, true));
                Some(homes)
            }
            None if is_pooled => None,
            None => {
                ways[0].2 = true;
                Some(0)
            }
        };
        let mut links = Vec::with_capacity(ways.len());
        for (number, (url, is_pooled, listens)) in ways.into_iter().enumerate() {
            let dialer = Arc::new(Dialer {
                url,
                tls: tls.clone(),
                is_pooled,
                channel: listens.then(|| channel.clone()),
                within: patience.connect,
            });
            let session = dialer.dial((number, 0), inbox.clone()).await?;
            links.push(Link::new(dialer, session, failure::disconnected()));
        }
        if listener.is_none() {
            info!(
                "a pooler is in the way, so no connection can listen: waiters ask for their turn every 10 to 250 ms"
            );
        }
        let sessions = links.iter().filter_map(|link| link.session.as_ref());
        let round_trip = sessions.map(|it| it.round_trip).max().unwrap_or_default();
        Ok(Self {
            links,
            homes,
            schema,
            owners,
            patience: patience.response,
            listener,
            turns: Turns::new(),
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

/// Checks the database once, or makes the schema. Returns whether a pooler is in the way.
async fn prepare(options: &Postgres, url: &Url, tls: &Tls) -> Result<bool, BackendError> {
    let connected = tls.connect(&url.config).await;
    let (client, mut traffic) = connected.map_err(|error| failure::of(&error))?;
    let reading = tokio::spawn(async move { while traffic.next().await.is_some() {} });
    schema::check(&client, &url.schema, options.creates_schema).await?;
    let is_pooled = match options.is_pooled {
        Some(is_pooled) => is_pooled,
        None => pooler::is_pooled(&client, url, tls)
            .await
            .map_err(|error| failure::of(&error))?,
    };
    reading.abort();
    Ok(is_pooled)
}
