//! Checks of attempts that are executed again, late, or after the pool stopped waiting.

use std::collections::HashSet;
use std::time::Duration;

use super::process::{Fleet, RELEASE};
use super::{Checked, expected, violated};
use crate::backend::{IfHeld, Op, Reply};

/// Longer than the checks take.
const TOMBSTONE: Duration = Duration::from_secs(60);

pub(super) async fn each_operation_is_idempotent(fleet: &Fleet) -> Checked {
    let mut process = fleet.process().await?;
    let (key, owner) = (fleet.key()?, process.owner());
    let acquire = fleet.acquire(IfHeld::Refuse);
    let first = expected!(process.ask(&key, &owner, acquire).await?,
        Reply::Granted(granted) => granted, "the key is free");
    let again = expected!(process.ask(&key, &owner, acquire).await?,
        Reply::Granted(granted) => granted, "the owner asks again");
    let is_part = again.tokens.end <= first.tokens.end && !again.tokens.is_empty();
    if again.tokens.start != first.tokens.start || !is_part {
        violated!(
            "asked again, the owner of {:?} has {:?}",
            first.tokens,
            again.tokens
        );
    }
    for _ in 0..2 {
        let renewed = process.ask(&key, &owner, fleet.renew()).await?;
        expected!(renewed, Reply::Renewed { .. } => {}, "the owner renews");
    }
    for _ in 0..2 {
        let released = process.ask(&key, &owner, RELEASE).await?;
        expected!(released, Reply::Released => {}, "the owner releases, and again");
    }
    expected!(process.ask(&key, &owner, fleet.renew()).await?, Reply::Gone => {}, "it was released");
    Ok(())
}

/// A release that overtakes the acquire of its owner.
pub(super) async fn a_tombstone_refuses_a_late_acquire(fleet: &Fleet) -> Checked {
    let (mut a, mut b) = (fleet.process().await?, fleet.process().await?);
    let (key, acquire) = (fleet.key()?, fleet.acquire(IfHeld::Refuse));
    let give_up = Op::Release {
        leave_queue: true,
        tombstone: Some(TOMBSTONE),
        keep: None,
    };
    for was_granted in [false, true] {
        let (one, other) = (a.owner(), b.owner());
        if was_granted {
            expected!(a.ask(&key, &one, acquire).await?, Reply::Granted(_) => {}, "the key is free");
        }
        expected!(a.ask(&key, &one, give_up).await?, Reply::Released => {}, "an owner gives up");
        expected!(a.ask(&key, &one, acquire).await?, Reply::Tombstoned => {}, "its acquire comes late");
        expected!(b.ask(&key, &other, acquire).await?, Reply::Granted(_) => {}, "others may have it");
        expected!(a.ask(&key, &one, acquire).await?, Reply::Tombstoned => {}, "it comes once more");
        b.ask(&key, &other, RELEASE).await?;
    }
    Ok(())
}

pub(super) async fn a_release_comes_before_the_next_acquire(fleet: &Fleet) -> Checked {
    let mut process = fleet.process().await?;
    let (key, acquire) = (fleet.key()?, fleet.acquire(IfHeld::Refuse));
    let mut present = process.owner();
    process.ask(&key, &present, acquire).await?;
    for _ in 0..8 {
        let next = process.owner();
        let release = process.submit(&key, &present, RELEASE).await?;
        process.submit(&key, &next, acquire).await?;
        process.flush();
        for _ in 0..2 {
            match process.ended().await? {
                (id, Ok(Reply::Released)) if id == release => {}
                (id, Ok(Reply::Granted(_))) if id != release => {}
                (_, other) => violated!("release and acquire in one flush: {other:?}"),
            }
        }
        present = next;
    }
    process.ask(&key, &present, RELEASE).await?;
    Ok(())
}

pub(super) async fn each_attempt_ends_once(fleet: &Fleet) -> Checked {
    let mut process = fleet.process().await?;
    let mut open = HashSet::new();
    let mut held = Vec::new();
    for _ in 0..200 {
        let (key, owner) = (fleet.key()?, process.owner());
        let id = process
            .submit(&key, &owner, fleet.acquire(IfHeld::Refuse))
            .await?;
        open.insert(id);
        held.push((key, owner));
        if open.len() == 25 {
            process.flush();
            while !open.is_empty() {
                let (id, outcome) = process.ended().await?;
                expected!(outcome, Ok(Reply::Granted(_)) => {}, "the key is free");
                if !open.remove(&id) {
                    violated!("{id:?} ended twice");
                }
            }
        }
    }
    for (key, owner) in held {
        expected!(process.ask(&key, &owner, RELEASE).await?, Reply::Released => {}, "the owner releases");
    }
    Ok(())
}

/// The pool stops waiting right after the attempt was sent. Then the pool's release must free the
/// key, whenever the attempt is executed.
pub(super) async fn an_overdue_attempt_does_no_harm(fleet: &Fleet) -> Checked {
    let (mut a, mut b) = (fleet.process().await?, fleet.process().await?);
    // Each may still be answered, also after the release that follows it.
    let mut abandoned = HashSet::new();
    for _ in 0..8 {
        let (key, one, other) = (fleet.key()?, a.owner(), b.owner());
        let acquire = fleet.acquire(IfHeld::Refuse);
        let overdue = a.submit(&key, &one, acquire).await?;
        a.flush();
        a.overdue(overdue);
        abandoned.insert(overdue);
        let give_up = Op::Release {
            leave_queue: true,
            tombstone: Some(TOMBSTONE),
            keep: None,
        };
        let release = a.submit(&key, &one, give_up).await?;
        a.flush();
        loop {
            let (id, outcome) = a.ended().await?;
            if id == release {
                expected!(outcome, Ok(Reply::Released) => break, "the owner gives up");
            }
            if !abandoned.remove(&id) {
                violated!("{id:?} ended, which nobody asked, or twice");
            }
        }
        expected!(b.ask(&key, &other, acquire).await?, Reply::Granted(_) => {}, "its owner gave up");
        b.ask(&key, &other, RELEASE).await?;
    }
    Ok(())
}
