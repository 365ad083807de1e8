//! Checks of holders that have a key at the same time, if the backend has modes, and of `min_hold`.

use std::time::Duration;

use super::process::{Fleet, MOMENT, RELEASE};
use super::queue::{LEAVE, hold_in, is_told, wait_in};
use super::{Checked, expected, violated};
use crate::backend::{IfHeld, Op, Reply, Time};
use crate::mode::Mode;

pub(super) async fn readers_come_together_and_writers_alone(fleet: &Fleet) -> Checked {
    let key = fleet.key()?;
    let (mut a, mut b) = (fleet.process().await?, fleet.process().await?);
    let (first, one) = hold_in(fleet, &mut a, &key, Mode::Shared).await?;
    let (second, other) = hold_in(fleet, &mut b, &key, Mode::Shared).await?;
    if one.start == other.start {
        violated!("two readers have the token {}", one.start);
    }
    let writer = wait_in(fleet, &mut b, &key, Mode::Exclusive).await?;
    // Nobody overtakes the writer.
    let third = wait_in(fleet, &mut a, &key, Mode::Shared).await?;
    let fourth = wait_in(fleet, &mut a, &key, Mode::Shared).await?;
    let last = wait_in(fleet, &mut b, &key, Mode::Exclusive).await?;
    a.ask(&key, &first, RELEASE).await?;
    expected!(b.ask(&key, &second, fleet.renew()).await?, Reply::Renewed { contended: true } => {},
        "a reader still has it, and others wait");
    b.has_been_told()?;
    b.ask(&key, &second, RELEASE).await?;
    let told = is_told(&mut b, &writer).await?;
    if told.granted.tokens.start <= one.start.max(other.start) {
        violated!(
            "a writer's token {:?} after {one:?} and {other:?}",
            told.granted.tokens
        );
    }
    b.ask(&key, &writer, RELEASE).await?;
    let one = is_told(&mut a, &third).await?;
    let other = is_told(&mut a, &fourth).await?;
    if one.granted.tokens.start == other.granted.tokens.start {
        violated!("two readers have the token {}", one.granted.tokens.start);
    }
    a.ask(&key, &fourth, RELEASE).await?;
    a.ask(&key, &third, RELEASE).await?;
    is_told(&mut b, &last).await?;
    b.ask(&key, &last, RELEASE).await?;
    a.has_been_told()
}

pub(super) async fn a_writer_that_leaves_lets_readers_in(fleet: &Fleet) -> Checked {
    let key = fleet.key()?;
    let (mut a, mut b) = (fleet.process().await?, fleet.process().await?);
    let (reader, _) = hold_in(fleet, &mut a, &key, Mode::Shared).await?;
    let writer = wait_in(fleet, &mut a, &key, Mode::Exclusive).await?;
    let behind = wait_in(fleet, &mut b, &key, Mode::Shared).await?;
    a.ask(&key, &writer, LEAVE).await?;
    is_told(&mut b, &behind).await?;
    a.ask(&key, &reader, RELEASE).await?;
    b.ask(&key, &behind, RELEASE).await?;
    hold_in(fleet, &mut a, &key, Mode::Exclusive)
        .await
        .map(drop)
}

pub(super) async fn no_more_than_the_permits_are_taken(fleet: &Fleet) -> Checked {
    let key = fleet.key()?;
    let (mut a, mut b) = (fleet.process().await?, fleet.process().await?);
    let (first, _) = hold_in(fleet, &mut a, &key, Mode::permits(3, 1)).await?;
    let (second, _) = hold_in(fleet, &mut b, &key, Mode::permits(3, 2)).await?;
    let one_more = wait_in(fleet, &mut a, &key, Mode::permits(3, 1)).await?;
    a.ask(&key, &one_more, LEAVE).await?;
    let big = wait_in(fleet, &mut b, &key, Mode::permits(3, 3)).await?;
    // What wants little does not overtake what wants much.
    let small = wait_in(fleet, &mut a, &key, Mode::permits(3, 1)).await?;
    a.ask(&key, &first, RELEASE).await?;
    expected!(b.ask(&key, &second, fleet.renew()).await?, Reply::Renewed { .. } => {}, "it has two permits");
    b.has_been_told()?;
    b.ask(&key, &second, RELEASE).await?;
    is_told(&mut b, &big).await?;
    b.ask(&key, &big, RELEASE).await?;
    is_told(&mut a, &small).await?;
    a.ask(&key, &small, RELEASE).await?;
    hold_in(fleet, &mut b, &key, Mode::permits(3, 3))
        .await
        .map(drop)
}

pub(super) async fn other_modes_are_refused(fleet: &Fleet) -> Checked {
    let key = fleet.key()?;
    let mut process = fleet.process().await?;
    let (owner, _) = hold_in(fleet, &mut process, &key, Mode::permits(2, 1)).await?;
    for mode in [Mode::permits(3, 1), Mode::Shared, Mode::Exclusive] {
        let other = process.owner_in(mode);
        let asked = process
            .ask(&key, &other, fleet.acquire(IfHeld::Queue))
            .await?;
        expected!(asked, Reply::OtherMode(Mode::Permits { permits: 2, .. }) => {}, "it is used with two permits");
    }
    process.ask(&key, &owner, RELEASE).await?;
    hold_in(fleet, &mut process, &key, Mode::Exclusive).await?;
    let other = process.owner_in(Mode::permits(2, 1));
    let asked = process
        .ask(&key, &other, fleet.acquire(IfHeld::Queue))
        .await?;
    expected!(asked, Reply::OtherMode(Mode::Exclusive) => Ok(()), "it has one owner")
}

/// Each holder's lease ends by itself, whatever the others do.
pub(super) async fn a_share_ends_by_itself(fleet: &Fleet) -> Checked {
    let key = fleet.key()?;
    let (mut a, mut gone) = (fleet.process().await?, fleet.process().await?);
    let (lost, _) = hold_in(fleet, &mut gone, &key, Mode::permits(2, 1)).await?;
    let (kept, _) = hold_in(fleet, &mut a, &key, Mode::permits(2, 1)).await?;
    let begun = Time::now();
    let waiter = wait_in(fleet, &mut a, &key, Mode::permits(2, 1)).await?;
    loop {
        expected!(a.ask(&key, &kept, fleet.renew()).await?, Reply::Renewed { .. } => {}, "it is renewed in time");
        if let Reply::Granted(_) = a.ask(&key, &waiter, fleet.acquire(IfHeld::Queue)).await? {
            break;
        }
        let since = Time::now().since(begun);
        if since > fleet.ttl * 2 + MOMENT {
            violated!("the permit of a process that is gone is taken after {since:?}");
        }
        tokio::time::sleep(fleet.ttl / 20).await;
    }
    expected!(gone.ask(&key, &lost, fleet.renew()).await?, Reply::Gone => Ok(()), "its permit is another's")
}

pub(super) async fn min_hold_keeps_others_out(fleet: &Fleet) -> Checked {
    let keep = Op::Release {
        leave_queue: false,
        tombstone: None,
        keep: Some(fleet.ttl),
    };
    let all = fleet.capabilities().await?;
    let modes = [Mode::Exclusive, Mode::permits(1, 1)];
    let count = if all.has_modes() { 2 } else { 1 };
    for mode in modes.into_iter().take(count) {
        let key = fleet.key()?;
        let (mut a, mut b) = (fleet.process().await?, fleet.process().await?);
        let (owner, _) = hold_in(fleet, &mut a, &key, mode).await?;
        let released_at = Time::now();
        expected!(a.ask(&key, &owner, keep).await?, Reply::Released => {}, "the owner has finished");
        expected!(a.ask(&key, &owner, fleet.renew()).await?, Reply::Gone => {}, "it no longer has it");
        expected!(a.ask(&key, &owner, keep).await?, Reply::Released => {}, "it was released");
        let other = b.owner_in(mode);
        let acquire = fleet.acquire(IfHeld::Refuse);
        loop {
            let reply = b.ask(&key, &other, acquire).await?;
            let since = Time::now().since(released_at);
            match reply {
                // A service may count in whole milliseconds.
                Reply::Granted(_) if since + Duration::from_millis(2) >= fleet.ttl => break,
                Reply::Granted(_) => violated!("it was kept for {since:?} of {:?}", fleet.ttl),
                Reply::Held { .. } if since < fleet.ttl + MOMENT => {}
                other => violated!("{other:?} after {since:?} of {:?}", fleet.ttl),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    Ok(())
}
