//! Answers about locks, past the attempts.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use lockattr::Mode;
use lockattr::backend::{BackendError, Holder, Inspected, Inspection, Inspector, Queue, Waiter};
use tracing::debug;

use crate::attempts::Core;
use crate::failure;
use crate::names::{self, Folder};
use crate::places::first_token;
use crate::rpc::{
    ASCENDING, BY_CREATION, KeyValue, LeaseTimeToLiveRequest, RangeRequest, TxnRequest,
};
use crate::way::Way;
use crate::{txn, value};

/// How many names are read for a page.
const PAGE: i64 = 512;

pub(crate) fn inspector(core: &Core) -> Inspector {
    let way = Way::of(core);
    Box::new(move |inspection| {
        let way = way.clone();
        Box::pin(async move {
            let way = way.ok_or_else(|| failure::unreachable("there is no connection to etcd"))?;
            way.inspect(inspection).await
        })
    })
}

impl Way {
    async fn inspect(&self, inspection: Inspection) -> Result<Inspected, BackendError> {
        match inspection {
            Inspection::Keys(keys) => {
                let mut found = Vec::new();
                for key in keys {
                    let places = self.places(&self.names.folder(key.as_str())).await?;
                    found.extend(holder(key.as_str(), &places));
                }
                Ok(Inspected::new(self.dated(found).await, None))
            }
            Inspection::Page { prefix, after, .. } => self.page(&prefix, after.as_deref()).await,
            Inspection::Queue { key, limit, .. } => self.queue(key.as_str(), limit).await,
            Inspection::ForceRelease(key) => self.force_release(key.as_str()).await,
            _ => Ok(Inspected::default()),
        }
    }

    /// All that have the key or wait for it, in the order of their turn.
    async fn places(&self, folder: &Folder) -> Result<Vec<KeyValue>, BackendError> {
        let all = RangeRequest {
            sort_order: ASCENDING,
            sort_target: BY_CREATION,
            ..txn::all(folder)
        };
        Ok(self.ask(all).await?.kvs)
    }

    async fn page(&self, prefix: &str, after: Option<&str>) -> Result<Inspected, BackendError> {
        let beginning = self.names.beginning(prefix);
        let start = match after {
            // All names of that key were told.
            Some(key) => self.names.folder(key).end(),
            None => beginning.clone(),
        };
        let page = RangeRequest {
            key: start,
            range_end: names::end_of(&beginning),
            limit: PAGE,
            ..RangeRequest::default()
        };
        let page = self.ask(page).await?;
        let mut keys: Vec<(String, Vec<KeyValue>)> = Vec::new();
        for place in page.kvs {
            let Some(key) = self.names.key_of(&place.key) else {
                continue;
            };
            match keys.last_mut().filter(|(last, _)| *last == key) {
                Some((_, places)) => places.push(place),
                None => keys.push((key, vec![place])),
            }
        }
        let mut next = None;
        if page.more
            && let Some((key, places)) = keys.last_mut()
        {
            // There may be more of the last key.
            *places = self.places(&self.names.folder(key)).await?;
            next = Some(Arc::from(&**key));
        }
        let mut found = Vec::new();
        for (key, mut places) in keys {
            places.sort_unstable_by_key(|place| place.create_revision);
            found.extend(holder(&key, &places));
        }
        Ok(Inspected::new(self.dated(found).await, next))
    }

    async fn queue(&self, key: &str, limit: usize) -> Result<Inspected, BackendError> {
        let places = self.places(&self.names.folder(key)).await?;
        let count = places.len().saturating_sub(1);
        let waiters = places.iter().skip(1).take(limit).map(|place| {
            let told = value::read(&place.value);
            let mut waiter = Waiter::new(&told.who.unwrap_or_default(), Mode::Exclusive);
            waiter.since = told.waits_since;
            waiter
        });
        let waiters: Vec<Waiter> = waiters.collect();
        let more = count - waiters.len();
        Ok(Inspected::of_queue(Queue::new(waiters, more)))
    }

    async fn force_release(&self, key: &str) -> Result<Inspected, BackendError> {
        let places = self.places(&self.names.folder(key)).await?;
        let found: Vec<_> = holder(key, &places).into_iter().collect();
        let told = self.dated(found).await;
        if let Some(first) = places.first() {
            // One that has released meanwhile is not asked about.
            let deletion = TxnRequest {
                compare: vec![txn::was_created_at(&first.key, first.create_revision)],
                success: vec![txn::delete(&first.key)],
                failure: Vec::new(),
            };
            self.ask(deletion).await?;
        }
        Ok(Inspected::new(told, None))
    }

    /// Adds when their leases end, as far as etcd tells.
    async fn dated(&self, found: Vec<(Holder, i64)>) -> Vec<Holder> {
        let mut left: HashMap<i64, Duration> = HashMap::new();
        let mut dated = Vec::new();
        for (mut holder, lease) in found {
            if lease != 0 && !left.contains_key(&lease) {
                let ttl = match self.ask(LeaseTimeToLiveRequest { id: lease }).await {
                    Ok(answer) => Duration::from_secs(u64::try_from(answer.ttl).unwrap_or(0)),
                    // Such as without the right to ask.
                    Err(error) => {
                        debug!(%error, "when a lease ends is not known");
                        Duration::MAX
                    }
                };
                left.insert(lease, ttl);
            }
            holder.ttl_left = left.get(&lease).copied().unwrap_or(Duration::MAX);
            dated.push(holder);
        }
        dated
    }
}

/// Who has the key, and its lease of etcd.
fn holder(key: &str, places: &[KeyValue]) -> Option<(Holder, i64)> {
    let first = places.first()?;
    let told = value::read(&first.value);
    let mut holder = Holder::new(key, &told.who.unwrap_or_default(), Duration::MAX);
    holder.since = told.has_since;
    holder.fencing_token = Some(first_token(first.create_revision));
    holder.waiters = places.len() - 1;
    Some((holder, first.lease))
}
