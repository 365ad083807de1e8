//! The waiters of a process that cannot listen, and how it asks whether it is their turn.

use std::collections::HashMap;
use std::time::Duration;

use lockattr::backend::{Attempt, Event, IfHeld, Op, Outcome, OwnerId, OwnerIds, Reply, Time};
use tokio::time::Instant;
use tokio_postgres::{Client, Error, Row};

use crate::clock::Clocks;
use crate::notice::Notice;
use crate::schema::quoted;

/// The pauses between two questions, which grow while no call begins to wait.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// A waiter asks again every half minute at least. One that does not was given up while no server could be told.
const FORGOTTEN: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Turns {
    waiting: HashMap<OwnerId, Waiter>,
    pause: Duration,
    asked_at: Instant,
    is_asking: bool,
}

#[derive(Debug)]
struct Waiter {
    key: String,
    /// When it asked the last time.
    seen: Instant,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self {
            waiting: HashMap::new(),
            pause: FIRST_PAUSE,
            asked_at: Instant::now(),
            is_asking: false,
        }
    }

    /// Takes note of what came of an attempt.
    pub(crate) fn note(&mut self, attempt: &Attempt, outcome: &Outcome) {
        let queues = matches!(
            attempt.op(),
            Op::Acquire {
                if_held: IfHeld::Queue,
                ..
            }
        );
        match outcome {
            Ok(Reply::Held { .. }) if queues => {
                let waiter = Waiter {
                    key: attempt.key().to_owned(),
                    seen: Instant::now(),
                };
                let owner = attempt.owner().clone();
                if self.waiting.insert(owner, waiter).is_none() {
                    self.pause = FIRST_PAUSE;
                }
            }
            Ok(Reply::Renewed { .. } | Reply::Held { .. }) | Err(_) => {}
            Ok(_) => drop(self.waiting.remove(attempt.owner())),
        }
    }

    /// When to ask.
    pub(crate) fn wakeup(&self) -> Option<Instant> {
        let is_due = !self.waiting.is_empty() && !self.is_asking;
        is_due.then(|| self.asked_at + self.pause)
    }

    /// Returns the keys and owners to ask for, if it is time.
    pub(crate) fn take_question(&mut self, now: Instant) -> Option<(Vec<String>, Vec<String>)> {
        self.wakeup().filter(|due| *due <= now)?;
        self.is_asking = true;
        let all = self.waiting.iter();
        Some(
            all.map(|(owner, waiter)| (waiter.key.clone(), owner.to_string()))
                .unzip(),
        )
    }

    /// Returns the handoffs that an answer tells of; none for an answer that was lost.
    pub(crate) fn answered(
        &mut self,
        rows: &[Row],
        owners: &OwnerIds,
        sent_at: Time,
    ) -> Vec<Event> {
        let now = Instant::now();
        self.is_asking = false;
        self.asked_at = now;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.waiting
            .retain(|_, waiter| now < waiter.seen + FORGOTTEN);
        let mut events = Vec::new();
        for row in rows {
            let clocks = row.try_get(6).map(|micros| Clocks::new(sent_at, micros));
            let event = clocks.ok().and_then(|it| read(row)?.event(owners, it));
            let Some(event) = event else {
                tracing::warn!("the server's answer about turns made no sense");
                continue;
            };
            // One that has left the queue meanwhile was handed over before.
            if let Event::HandedOver { owner, .. } = &event
                && self.waiting.remove(owner).is_some()
            {
                events.push(event);
            }
        }
        events
    }
}

fn read(row: &Row) -> Option<Notice<'_>> {
    let count: i32 = row.try_get(2).ok()?;
    Some(Notice {
        owner: row.try_get(0).ok()?,
        first: row.try_get(1).ok()?,
        count: count.into(),
        contended: row.try_get(3).ok()?,
        claim: row.try_get(4).ok()?,
        at: row.try_get(5).ok()?,
    })
}

/// Asks for the turns of these owners.
pub(crate) async fn ask(
    client: &Client,
    schema: &str,
    (keys, owners): (Vec<String>, Vec<String>),
) -> Result<Vec<Row>, Error> {
    use tokio_postgres::types::Type;
    let schema = quoted(schema);
    let text = format!(
        "select *, {schema}.micros(clock_timestamp()) from {schema}.handed_over_v1($1, $2)"
    );
    let typed: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
        [(&keys, Type::TEXT_ARRAY), (&owners, Type::TEXT_ARRAY)];
    client.query_typed(&text, &typed).await
}
