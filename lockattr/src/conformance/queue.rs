//! Checks of the queue and its handoffs, if the backend has a queue.

use std::ops::Range;

use super::process::{Fleet, HandedOver, MOMENT, Process, RELEASE};
use super::{Checked, expected, violated};
use crate::backend::{IfHeld, Op, OwnerId, Reply, Time};
use crate::key::Key;
use crate::mode::Mode;

pub(super) const LEAVE: Op = Op::Release {
    leave_queue: true,
    tombstone: None,
    keep: None,
};

async fn hold(fleet: &Fleet, process: &mut Process, key: &Key) -> Result<OwnerId, String> {
    let (owner, _) = hold_in(fleet, process, key, Mode::Exclusive).await?;
    Ok(owner)
}

async fn wait(fleet: &Fleet, process: &mut Process, key: &Key) -> Result<OwnerId, String> {
    wait_in(fleet, process, key, Mode::Exclusive).await
}

/// Returns a new owner that has the key in this mode, and its tokens.
pub(super) async fn hold_in(
    fleet: &Fleet,
    process: &mut Process,
    key: &Key,
    mode: Mode,
) -> Result<(OwnerId, Range<u64>), String> {
    let owner = process.owner_in(mode);
    let acquire = fleet.acquire(IfHeld::Queue);
    expected!(process.ask(key, &owner, acquire).await?,
        Reply::Granted(granted) => Ok((owner, granted.tokens)), "{mode}, while nothing is in its way")
}

/// Returns a new owner that waits for the key in this mode.
pub(super) async fn wait_in(
    fleet: &Fleet,
    process: &mut Process,
    key: &Key,
    mode: Mode,
) -> Result<OwnerId, String> {
    let owner = process.owner_in(mode);
    let acquire = fleet.acquire(IfHeld::Queue);
    expected!(process.ask(key, &owner, acquire).await?, Reply::Held { .. } => Ok(owner), "{mode}, while another has it")
}

pub(super) async fn is_told(process: &mut Process, owner: &OwnerId) -> Result<HandedOver, String> {
    let told = process.handed_over().await?;
    if told.owner != *owner {
        violated!("it is not this owner's turn: {told:?}");
    }
    Ok(told)
}

pub(super) async fn waiters_come_in_turn(fleet: &Fleet) -> Checked {
    let key = fleet.key()?;
    let (mut a, mut b) = (fleet.process().await?, fleet.process().await?);
    let mut present = hold(fleet, &mut a, &key).await?;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push((false, wait(fleet, &mut b, &key).await?));
        waiting.push((true, wait(fleet, &mut a, &key).await?));
    }
    // The previous owner is always the other process's.
    for (is_own, owner) in waiting {
        let (before, next) = if is_own {
            (&mut b, &mut a)
        } else {
            (&mut a, &mut b)
        };
        let released = before.ask(&key, &present, RELEASE).await?;
        expected!(released, Reply::Released => {}, "the owner releases");
        is_told(next, &owner).await?;
        present = owner;
    }
    a.ask(&key, &present, RELEASE).await?;
    a.has_been_told()?;
    b.has_been_told()
}

pub(super) async fn a_lease_that_was_handed_over_is_one(fleet: &Fleet) -> Checked {
    let key = fleet.key()?;
    let (mut a, mut b) = (fleet.process().await?, fleet.process().await?);
    let one = a.owner();
    let first = expected!(a.ask(&key, &one, fleet.acquire(IfHeld::Queue)).await?,
        Reply::Granted(granted) => granted, "the key is free");
    let other = wait(fleet, &mut b, &key).await?;
    expected!(a.ask(&key, &one, fleet.renew()).await?, Reply::Renewed { contended: true } => {},
        "another waits");
    let before = Time::now();
    a.ask(&key, &one, RELEASE).await?;
    let told = is_told(&mut b, &other).await?;
    let asked = u64::from(b.claim().tokens);
    let tokens = told.granted.tokens.clone();
    if tokens.start < first.tokens.end || tokens.is_empty() || tokens.end - tokens.start > asked {
        violated!(
            "{asked} tokens after {:?} were wanted: {tokens:?}",
            first.tokens
        );
    }
    if told.ttl > b.claim().ttl {
        violated!(
            "a claim of {:?} is said to last {:?}",
            b.claim().ttl,
            told.ttl
        );
    }
    let now = Time::now();
    if told.since > now {
        violated!("it was handed over {:?} from now", told.since.since(now));
    }
    // Earlier than the release by at most a drift of the clocks, or the lease would be cut short.
    let early = before.since(told.since);
    if early > fleet.ttl / 4 {
        violated!("it is dated {early:?} before the release");
    }
    let late = a.owner();
    expected!(a.ask(&key, &late, fleet.acquire(IfHeld::Refuse)).await?, Reply::Held { .. } => {},
        "it was handed over");
    let again = expected!(b.ask(&key, &other, fleet.acquire(IfHeld::Queue)).await?,
        Reply::Granted(granted) => granted, "it is the owner");
    if again.tokens.start != tokens.start {
        violated!("the owner of {tokens:?} has {:?}", again.tokens);
    }
    expected!(b.ask(&key, &other, fleet.renew()).await?, Reply::Renewed { contended: false } => {},
        "it renews, and nobody waits");
    b.ask(&key, &other, RELEASE).await?;
    Ok(())
}

pub(super) async fn asking_again_keeps_the_place(fleet: &Fleet) -> Checked {
    let key = fleet.key()?;
    let (mut a, mut b) = (fleet.process().await?, fleet.process().await?);
    let one = hold(fleet, &mut a, &key).await?;
    let first = wait(fleet, &mut b, &key).await?;
    let second = wait(fleet, &mut a, &key).await?;
    let again = b.ask(&key, &first, fleet.acquire(IfHeld::Queue)).await?;
    expected!(again, Reply::Held { .. } => {}, "the first waiter asks again");
    a.ask(&key, &one, RELEASE).await?;
    is_told(&mut b, &first).await?;
    b.ask(&key, &first, RELEASE).await?;
    is_told(&mut a, &second).await?;
    a.ask(&key, &second, RELEASE).await?;
    // It has one place in the queue, not two.
    b.ask(&key, &first, fleet.renew()).await?;
    b.has_been_told()
}

pub(super) async fn refused_and_cancelled_waiters_have_no_place(fleet: &Fleet) -> Checked {
    let key = fleet.key()?;
    let (mut a, mut b) = (fleet.process().await?, fleet.process().await?);
    let one = hold(fleet, &mut a, &key).await?;
    let refused = b.owner();
    let reply = b.ask(&key, &refused, fleet.acquire(IfHeld::Refuse)).await?;
    expected!(reply, Reply::Held { .. } => {}, "another has it");
    let cancelled = wait(fleet, &mut b, &key).await?;
    let last = wait(fleet, &mut a, &key).await?;
    expected!(b.ask(&key, &cancelled, LEAVE).await?, Reply::Released => {}, "a waiter leaves");
    a.ask(&key, &one, RELEASE).await?;
    is_told(&mut a, &last).await?;
    a.ask(&key, &last, RELEASE).await?;
    // Every handoff that came before this answer has been noted.
    let newcomer = b.owner();
    let granted = b
        .ask(&key, &newcomer, fleet.acquire(IfHeld::Refuse))
        .await?;
    expected!(granted, Reply::Granted(_) => {}, "nobody has the key or waits for it");
    b.ask(&key, &newcomer, RELEASE).await?;
    b.has_been_told()
}

pub(super) async fn nobody_overtakes_a_waiter_when_a_lease_ends(fleet: &Fleet) -> Checked {
    let key = fleet.key()?;
    let (mut a, mut b) = (fleet.process().await?, fleet.process().await?);
    hold(fleet, &mut a, &key).await?;
    let begun = Time::now();
    let first = wait(fleet, &mut b, &key).await?;
    tokio::time::sleep(fleet.ttl + fleet.ttl / 4).await;
    let newcomer = wait(fleet, &mut a, &key).await;
    if let Err(what) = newcomer {
        violated!(
            "{what}; a waiter was there {:?} before",
            Time::now().since(begun)
        );
    }
    let asked = b.ask(&key, &first, fleet.acquire(IfHeld::Queue)).await?;
    expected!(asked, Reply::Granted(_) => {}, "it is the first waiter's turn");
    Ok(())
}

pub(super) async fn a_waiter_that_is_gone_costs_its_claim(fleet: &Fleet) -> Checked {
    let key = fleet.key()?;
    let (mut a, mut b) = (fleet.process().await?, fleet.process().await?);
    let mut gone = fleet.process().await?;
    let one = hold(fleet, &mut a, &key).await?;
    wait(fleet, &mut gone, &key).await?;
    drop(gone);
    let other = wait(fleet, &mut b, &key).await?;
    let released_at = Time::now();
    a.ask(&key, &one, RELEASE).await?;
    // Waiters ask again from time to time.
    loop {
        if let Reply::Granted(_) = b.ask(&key, &other, fleet.acquire(IfHeld::Queue)).await? {
            return Ok(());
        }
        let waited = Time::now().since(released_at);
        if waited > fleet.ttl * 3 + MOMENT {
            violated!("the next waiter has nothing after {waited:?}");
        }
        tokio::time::sleep(fleet.ttl / 20).await;
    }
}
