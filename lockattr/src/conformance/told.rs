//! Checks of what the backend tells about locks, if it has an inspector.

use super::process::{Fleet, Process, RELEASE};
use super::queue::{LEAVE, hold_in, wait_in};
use super::{Checked, violated};
use crate::backend::{BackendErrorKind, Inspection, Queue};
use crate::key::Key;
use crate::mode::Mode;

/// Returns `None` where the service does not tell it, or must not.
async fn queue(process: &Process, key: &Key, limit: usize) -> Result<Option<Queue>, String> {
    let key = key.clone();
    match process.inspect(Inspection::Queue { key, limit }).await {
        None => Ok(None),
        Some(Ok(answer)) => Ok(answer.queue),
        Some(Err(error)) if error.kind() == BackendErrorKind::Refused => Ok(None),
        Some(Err(error)) => Err(format!("it does not say who waits: {error}")),
    }
}

pub(super) async fn waiters_are_told_in_turn(fleet: &Fleet) -> Checked {
    let key = fleet.key()?;
    let (mut a, mut b) = (fleet.process().await?, fleet.process().await?);
    match queue(&a, &key, 9).await? {
        None => return Ok(()),
        Some(told) if told.is_empty() => {}
        Some(told) => violated!("nobody waits: {told:?}"),
    }
    let modes = if fleet.capabilities().await?.has_modes() {
        [Mode::Exclusive, Mode::Shared, Mode::Shared]
    } else {
        [Mode::Exclusive; 3]
    };
    let (holder, _) = hold_in(fleet, &mut a, &key, Mode::Exclusive).await?;
    let mut waiting = Vec::new();
    for mode in modes {
        waiting.push(wait_in(fleet, &mut b, &key, mode).await?);
    }
    for limit in [9, 2, 0] {
        let Some(told) = queue(&a, &key, limit).await? else {
            violated!("it says who waits only while nobody does");
        };
        let text = format!("{told:?}");
        if [&a, &b].iter().any(|it| text.contains(it.secret())) {
            violated!("an owner id is told");
        }
        let first: Vec<_> = told.waiters.iter().map(|waiter| waiter.mode).collect();
        let expected: Vec<_> = modes.into_iter().take(limit).map(Some).collect();
        if first != expected || told.len() != modes.len() {
            violated!("of {modes:?}, the first {limit} were asked for: {told:?}");
        }
    }
    for owner in &waiting {
        b.ask(&key, owner, LEAVE).await?;
    }
    a.ask(&key, &holder, RELEASE).await?;
    Ok(())
}
