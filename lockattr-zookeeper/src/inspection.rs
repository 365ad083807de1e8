//! Answers to questions about locks, by a session of their own.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lockattr::backend::{Holder, Inspected, Inspection, Inspector, Queue, Waiter};
use tokio::sync::Mutex;
use zookeeper_client::{Client, Error, SessionState};

use crate::dialer::Dialer;
use crate::failure::{Asked, Trouble};
use crate::names::{Line, Place, first_token, key_of, node_of};

/// How many keys a page has at most.
const PAGE: usize = 256;
/// It has no nodes, so its end costs no lease: only a process that is gone is forgotten sooner.
const SESSION: Duration = Duration::from_secs(10);

pub(crate) fn inspector(dialer: Dialer) -> Inspector {
    let questions = Arc::new(Questions {
        dialer,
        client: Mutex::default(),
    });
    Box::new(move |inspection| {
        let questions = Arc::clone(&questions);
        Box::pin(async move {
            let answered = questions.answer(inspection).await;
            answered.map_err(Trouble::into_error)
        })
    })
}

struct Questions {
    dialer: Dialer,
    client: Mutex<Option<Client>>,
}

/// What the data of a node tells.
struct Told {
    who: String,
    since: Option<SystemTime>,
    czxid: i64,
}

impl Questions {
    async fn client(&self) -> Asked<Client> {
        let mut present = self.client.lock().await;
        if let Some(client) = &*present
            && client.state() == SessionState::SyncConnected
        {
            return Ok(client.clone());
        }
        // This one is closed with its last clone.
        let client = self.dialer.dial(SESSION, false).await?;
        *present = Some(client.clone());
        Ok(client)
    }

    async fn ask<T>(&self, request: impl Future<Output = Result<T, Error>>) -> Asked<T> {
        match tokio::time::timeout(self.dialer.patience.response, request).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Trouble::silent()),
        }
    }

    async fn answer(&self, inspection: Inspection) -> Asked<Inspected> {
        let client = self.client().await?;
        // So that what was released before is not told as held.
        self.ask(client.sync(&self.dialer.ensemble.chroot)).await?;
        match inspection {
            Inspection::Keys(keys) => {
                let mut holders = Vec::new();
                for key in keys {
                    holders.extend(self.holders(&client, key.as_str()).await?);
                }
                Ok(Inspected::new(holders, None))
            }
            Inspection::Page { prefix, after, .. } => {
                self.page(&client, &prefix, after.as_deref()).await
            }
            Inspection::Queue { key, limit, .. } => self.queue(&client, key.as_str(), limit).await,
            Inspection::ForceRelease(key) => {
                let path = self.path(key.as_str());
                let line = self.line(&client, &path).await?;
                let found = self.holders_in(&client, key.as_str(), &line).await?;
                // Not those that have got the key since.
                for place in &line.places[..line.holders()] {
                    let node = format!("{path}/{}", place.name);
                    match self.ask(client.delete(&node, None)).await {
                        Ok(()) | Err(Trouble::NoNode) => {}
                        Err(trouble) => return Err(trouble),
                    }
                }
                Ok(Inspected::new(found, None))
            }
            _ => Ok(Inspected::default()),
        }
    }

    fn path(&self, key: &str) -> String {
        format!("{}/{}", self.dialer.ensemble.chroot, node_of(key))
    }

    async fn children(&self, client: &Client, path: &str) -> Asked<Vec<String>> {
        match self.ask(client.list_children(path)).await {
            Err(Trouble::NoNode) => Ok(Vec::new()),
            listed => listed,
        }
    }

    async fn line(&self, client: &Client, path: &str) -> Asked<Line> {
        let names = self.children(client, path).await?;
        Line::read(&names)
    }

    /// `None` if the node is gone by now.
    async fn told(&self, client: &Client, path: &str, place: &Place) -> Asked<Option<Told>> {
        let node = format!("{path}/{}", place.name);
        let (data, stat) = match self.ask(client.get_data(&node)).await {
            Err(Trouble::NoNode) => return Ok(None),
            read => read?,
        };
        let text = String::from_utf8_lossy(&data).into_owned();
        // The format's version comes first.
        let who = text.strip_prefix("1 ").unwrap_or_default().to_owned();
        let since = u64::try_from(stat.ctime).ok();
        let since = since.map(Duration::from_millis);
        let since = since.and_then(|span| SystemTime::UNIX_EPOCH.checked_add(span));
        Ok(Some(Told {
            who,
            since,
            czxid: stat.czxid,
        }))
    }

    async fn holders(&self, client: &Client, key: &str) -> Asked<Vec<Holder>> {
        let line = self.line(client, &self.path(key)).await?;
        self.holders_in(client, key, &line).await
    }

    async fn holders_in(&self, client: &Client, key: &str, line: &Line) -> Asked<Vec<Holder>> {
        let path = self.path(key);
        let count = line.holders();
        let mut holders = Vec::with_capacity(count);
        for place in &line.places[..count] {
            let Some(told) = self.told(client, &path, place).await? else {
                continue;
            };
            // The end of the lease is known to its process alone.
            let mut holder = Holder::new(key, &told.who, Duration::MAX);
            holder.since = told.since;
            holder.fencing_token = first_token(told.czxid);
            holder.mode = place.mode;
            holder.waiters = line.places.len() - count;
            holders.push(holder);
        }
        Ok(holders)
    }

    async fn page(&self, client: &Client, prefix: &str, after: Option<&str>) -> Asked<Inspected> {
        let nodes = self.children(client, &self.dialer.ensemble.chroot).await?;
        let mut keys: Vec<String> = nodes.iter().filter_map(|node| key_of(node)).collect();
        keys.retain(|key| {
            key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after)
        });
        keys.sort_unstable();
        let has_more = keys.len() > PAGE;
        keys.truncate(PAGE);
        let mut holders = Vec::new();
        for key in &keys {
            holders.extend(self.holders(client, key).await?);
        }
        let next = keys.last().filter(|_| has_more);
        Ok(Inspected::new(holders, next.map(|key| key.as_str().into())))
    }

    async fn queue(&self, client: &Client, key: &str, limit: usize) -> Asked<Inspected> {
        let path = self.path(key);
        let line = self.line(client, &path).await?;
        let waiting = &line.places[line.holders()..];
        let mut waiters = Vec::new();
        for place in waiting.iter().take(limit) {
            let Some(told) = self.told(client, &path, place).await? else {
                continue;
            };
            let mut waiter = Waiter::new(&told.who, place.mode);
            waiter.since = told.since;
            waiters.push(waiter);
        }
        let more = waiting.len().saturating_sub(limit);
        Ok(Inspected::of_queue(Queue::new(waiters, more)))
    }
}
