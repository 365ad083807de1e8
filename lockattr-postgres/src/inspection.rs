//! Who has a key, and who waits for it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lockattr::backend::{
    BackendError, Holder, Inspected, Inspecting, Inspection, Inspector, Queue, Waiter,
};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row};

use crate::batch::mode;
use crate::failure;
use crate::line::Line;
use crate::options::refused;
use crate::schema::quoted;

/// How many keys a page has at most.
const PAGE: i64 = 256;

pub(crate) fn inspector(line: Result<Arc<Line>, BackendError>, schema: &str) -> Inspector {
    let schema = quoted(schema);
    Box::new(move |inspection| -> Inspecting {
        let (line, schema) = (line.clone(), schema.clone());
        Box::pin(async move {
            let questions = Questions {
                line: line?,
                schema,
            };
            questions.answer(inspection).await
        })
    })
}

struct Questions {
    line: Arc<Line>,
    schema: String,
}

impl Questions {
    async fn answer(&self, inspection: Inspection) -> Result<Inspected, BackendError> {
        match inspection {
            Inspection::Keys(keys) => {
                #[expect(
                    clippy::redundant_closure_for_method_calls,
                    reason = "the type has no public path"
                )]
                let keys: Vec<&str> = keys.iter().map(|key| key.as_str()).collect();
                let asked = [(&keys as &(dyn ToSql + Sync), Type::TEXT_ARRAY)];
                let found = self.holders("h.key = any ($1)", &asked).await?;
                Ok(Inspected::new(found, None))
            }
            Inspection::Page { prefix, after, .. } => self.page(&prefix, after.as_deref()).await,
            Inspection::Queue { key, limit, .. } => self.queue(key.as_str(), limit).await,
            Inspection::ForceRelease(key) => {
                let key = key.as_str();
                let found = self.holders("h.key = $1", &[(&key, Type::TEXT)]).await?;
                let text = format!("select {}.take_away_v1($1)", self.schema);
                self.ask(&text, &[(&key, Type::TEXT)]).await?;
                Ok(Inspected::new(found, None))
            }
            _ => Err(refused(
                "lockattr-postgres is older than lockattr, and does not know this question",
            )),
        }
    }

    /// Returns the holders of a page of keys, in the order of the keys.
    async fn page(&self, prefix: &str, after: Option<&str>) -> Result<Inspected, BackendError> {
        let text = format!(
            "select distinct key from {}.holder where starts_with(key, $1) and key >= $1 and ($2 is null or key > $2) \
             order by key limit $3",
            self.schema
        );
        let asked: [(&(dyn ToSql + Sync), Type); 3] = [
            (&prefix, Type::TEXT),
            (&after, Type::TEXT),
            (&PAGE, Type::INT8),
        ];
        let rows = self.ask(&text, &asked).await?;
        let keys = rows
            .iter()
            .map(|row| row.try_get(0))
            .collect::<Result<Vec<&str>, Error>>();
        let keys = keys.map_err(|error| failure::malformed(&error.to_string()))?;
        let asked = [(&keys as &(dyn ToSql + Sync), Type::TEXT_ARRAY)];
        let found = self.holders("h.key = any ($1)", &asked).await?;
        let has_more = i64::try_from(keys.len()) == Ok(PAGE);
        let next = keys
            .last()
            .filter(|_| has_more)
            .map(|last| Arc::from(*last));
        Ok(Inspected::new(found, next))
    }

    async fn holders(
        &self,
        which: &str,
        values: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Holder>, BackendError> {
        let text = format!(
            "select h.key, h.who, (extract(epoch from h.ends - clock_timestamp()) * 1000000)::bigint, h.token, \
                 {0}.micros(h.since), h.permits, h.weight, h.is_finished, \
                 (select count(*) from {0}.waiter w where w.key = h.key)::int \
             from {0}.holder h where {which} order by h.key, h.token",
            self.schema
        );
        let rows = self.ask(&text, values).await?;
        let read = rows.iter().map(holder).collect::<Result<_, Error>>();
        read.map_err(|error| failure::malformed(&error.to_string()))
    }

    async fn queue(&self, key: &str, limit: usize) -> Result<Inspected, BackendError> {
        let text = format!(
            "select who, permits, weight, {0}.micros(since), count(*) over ()::int \
             from {0}.waiter where key = $1 order by place limit $2",
            self.schema
        );
        // One more than none, for the number of all.
        let most = i64::try_from(limit.max(1)).unwrap_or(i64::MAX);
        let rows = self
            .ask(&text, &[(&key, Type::TEXT), (&most, Type::INT8)])
            .await?;
        let count: i32 = rows
            .first()
            .and_then(|row| row.try_get(4).ok())
            .unwrap_or(0);
        let read = rows
            .iter()
            .take(limit)
            .map(waiter)
            .collect::<Result<Vec<_>, Error>>();
        let waiters = read.map_err(|error| failure::malformed(&error.to_string()))?;
        let more = usize::try_from(count)
            .unwrap_or(0)
            .saturating_sub(waiters.len());
        Ok(Inspected::of_queue(Queue::new(waiters, more)))
    }

    async fn ask(
        &self,
        text: &str,
        values: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, BackendError> {
        let _turn = self.line.turn().await;
        let asked = self.line.client.query_typed(text, values).await;
        asked.map_err(|error| failure::of(&error))
    }
}

fn holder(row: &Row) -> Result<Holder, Error> {
    let left: i64 = row.try_get(2)?;
    let (permits, weight) = (row.try_get(5)?, row.try_get(6)?);
    let waiters: i32 = row.try_get(8)?;
    let ttl_left = Duration::from_micros(left.try_into().unwrap_or(0));
    let mut holder = Holder::new(row.try_get(0)?, row.try_get(1)?, ttl_left);
    holder.fencing_token = row.try_get::<_, i64>(3)?.try_into().ok();
    holder.since = date(row.try_get(4)?);
    holder.mode = mode(permits, weight);
    holder.has_finished = row.try_get(7)?;
    holder.waiters = waiters.try_into().unwrap_or(0);
    Ok(holder)
}

fn waiter(row: &Row) -> Result<Waiter, Error> {
    let mut waiter = Waiter::new(row.try_get(0)?, mode(row.try_get(1)?, row.try_get(2)?));
    waiter.since = date(row.try_get(3)?);
    Ok(waiter)
}

fn date(micros: i64) -> Option<SystemTime> {
    let span = Duration::from_micros(micros.try_into().ok()?);
    SystemTime::UNIX_EPOCH.checked_add(span)
}
