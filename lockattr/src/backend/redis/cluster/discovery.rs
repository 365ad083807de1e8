//! Asking the nodes of a cluster which of them has which slot.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::table::Table;
use crate::backend::redis::dial::Dialer;
use crate::backend::redis::stream::Address;
use crate::backend::{BackendError, BackendErrorKind};

/// How much longer than the first answer the others may take: a node that is cut off from the rest
/// knows less than they do.
const LATER_ANSWERS: Duration = Duration::from_millis(100);

/// Asks all at once, by connections of their own. Of the nodes that answer, the one is believed that has
/// heard of the latest change.
///
/// # Errors
///
/// When no node answers: what each of them said.
pub(in super::super) async fn discover(
    dialer: &Dialer,
    candidates: Vec<Address>,
) -> Result<Table, BackendError> {
    let mut asked = JoinSet::new();
    for node in candidates {
        let dialer = dialer.at(node.clone());
        asked.spawn(async move { (ask(&dialer, &node).await, node) });
    }
    let mut best: Option<Table> = None;
    let mut failures = Vec::new();
    let mut until = None;
    loop {
        let next = asked.join_next();
        let answer = match until {
            Some(until) => tokio::time::timeout_at(until, next).await.ok().flatten(),
            None => next.await,
        };
        match answer {
            Some(Ok((Ok(table), _))) => {
                until.get_or_insert_with(|| Instant::now() + LATER_ANSWERS);
                let rank = |table: &Table| (table.is_ok, table.epoch);
                if best.as_ref().is_none_or(|best| rank(best) < rank(&table)) {
                    best = Some(table);
                }
            }
            Some(Ok((Err(error), node))) => failures.push(format!("{node}: {error}")),
            Some(Err(_)) => {}
            None => break,
        }
    }
    best.ok_or_else(|| {
        let said = failures.join("; ");
        let message = format!("no node of the cluster answers ({said})");
        BackendError::new(BackendErrorKind::Unreachable, message)
    })
}

async fn ask(dialer: &Dialer, node: &Address) -> Result<Table, BackendError> {
    let mut connection = dialer.visit().await?;
    let mut pipeline = redis::pipe();
    pipeline.cmd("CLUSTER").arg("SLOTS");
    pipeline.cmd("CLUSTER").arg("INFO");
    let answers = connection.ask(&pipeline, 2).await?;
    let [slots, info] = &answers[..] else {
        return Err(nonsense());
    };
    Table::read(slots, info, node).ok_or_else(nonsense)
}

fn nonsense() -> BackendError {
    let message = "its answer to CLUSTER SLOTS or CLUSTER INFO makes no sense";
    BackendError::new(BackendErrorKind::Malformed, message)
}
