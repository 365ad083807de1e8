//! Checks of exclusion, the end of leases, and fencing.

use std::time::Duration;

use super::process::{Fleet, MOMENT, RELEASE};
use super::{Checked, expected, violated};
use crate::backend::{IfHeld, Op, Reply, Time};

pub(super) async fn one_owner_has_a_key(fleet: &Fleet) -> Checked {
    let (mut a, mut b) = (fleet.process().await?, fleet.process().await?);
    let (key, one, other) = (fleet.key()?, a.owner(), b.owner());
    let acquire = fleet.acquire(IfHeld::Refuse);
    expected!(a.ask(&key, &one, acquire).await?, Reply::Granted(_) => {}, "the key is free");
    let ends_in = expected!(b.ask(&key, &other, acquire).await?, Reply::Held { ends_in, .. } => ends_in,
        "another has the key");
    if ends_in > fleet.ttl && ends_in != Duration::MAX {
        violated!("a lease of {:?} is said to end in {ends_in:?}", fleet.ttl);
    }
    let neighbour = a.owner();
    expected!(a.ask(&key, &neighbour, acquire).await?, Reply::Held { .. } => {},
        "another owner of the same process has the key");
    expected!(a.ask(&key, &one, RELEASE).await?, Reply::Released => {}, "the owner releases");
    expected!(b.ask(&key, &other, acquire).await?, Reply::Granted(_) => {}, "the key is free again");
    b.ask(&key, &other, RELEASE).await?;
    Ok(())
}

pub(super) async fn one_of_many_at_once_has_it(fleet: &Fleet) -> Checked {
    let key = fleet.key()?;
    let mut processes = [
        fleet.process().await?,
        fleet.process().await?,
        fleet.process().await?,
    ];
    for process in &mut processes {
        for _ in 0..4 {
            let owner = process.owner();
            process
                .submit(&key, &owner, fleet.acquire(IfHeld::Refuse))
                .await?;
        }
        process.flush();
    }
    let mut granted = 0;
    for process in &mut processes {
        for _ in 0..4 {
            match process.ended().await? {
                (_, Ok(Reply::Granted(_))) => granted += 1,
                (_, Ok(Reply::Held { .. })) => {}
                (_, other) => violated!("an acquire ended so: {other:?}"),
            }
        }
    }
    if granted != 1 {
        violated!("{granted} of 12 have the key");
    }
    Ok(())
}

/// The service's clock began after the attempt was sent, so a grant to another owner within the ttl
/// is too early, however slow the machine is.
pub(super) async fn a_lease_ends_by_itself_and_not_before(fleet: &Fleet) -> Checked {
    let (mut a, mut b) = (fleet.process().await?, fleet.process().await?);
    let (key, one, other) = (fleet.key()?, a.owner(), b.owner());
    let acquire = fleet.acquire(IfHeld::Refuse);
    let sent_at = Time::now();
    let first = expected!(a.ask(&key, &one, acquire).await?, Reply::Granted(granted) => granted,
        "the key is free");
    // As if its process was killed.
    drop(a);
    let second = loop {
        match b.ask(&key, &other, acquire).await? {
            Reply::Granted(granted) => break granted,
            Reply::Held { .. } => {}
            reply => violated!("an acquire is answered by {reply:?}"),
        }
        let waited = Time::now().since(sent_at);
        if waited > fleet.ttl * 3 + MOMENT {
            violated!("a lease of {:?} is still there after {waited:?}", fleet.ttl);
        }
        tokio::time::sleep(fleet.ttl / 20).await;
    };
    let after = Time::now().since(sent_at);
    if after < fleet.ttl {
        violated!("a lease of {:?} ended after {after:?}", fleet.ttl);
    }
    if second.tokens.start < first.tokens.end {
        violated!(
            "the next owner's tokens are {:?} after {:?}",
            second.tokens,
            first.tokens
        );
    }
    b.ask(&key, &other, RELEASE).await?;
    Ok(())
}

pub(super) async fn a_renewal_prolongs_and_never_shortens(fleet: &Fleet) -> Checked {
    let (mut a, mut b) = (fleet.process().await?, fleet.process().await?);
    let (key, one, other) = (fleet.key()?, a.owner(), b.owner());
    let acquire = fleet.acquire(IfHeld::Refuse);
    // The first attempt may come too late if the machine stands still.
    let renewed_at = loop {
        let sent_at = Time::now();
        expected!(a.ask(&key, &one, acquire).await?, Reply::Granted(_) => {}, "the key is free");
        tokio::time::sleep(fleet.ttl / 2).await;
        let renewed_at = Time::now();
        match a.ask(&key, &one, fleet.renew()).await? {
            Reply::Renewed { .. } => break renewed_at,
            Reply::Gone if Time::now().since(sent_at) >= fleet.ttl => {}
            reply => violated!("a renewal in time is answered by {reply:?}"),
        }
    };
    let shorter = Op::Renew {
        ttl: fleet.ttl / 10,
    };
    a.ask(&key, &one, shorter).await?;
    loop {
        let reply = b.ask(&key, &other, acquire).await?;
        let since = Time::now().since(renewed_at);
        match reply {
            Reply::Granted(_) if since < fleet.ttl => {
                violated!(
                    "a lease that was renewed for {:?} ended after {since:?}",
                    fleet.ttl
                )
            }
            Reply::Granted(_) => break,
            Reply::Held { .. } if since < fleet.ttl * 3 + MOMENT => {}
            reply => violated!("{since:?} after the last renewal: {reply:?}"),
        }
        tokio::time::sleep(fleet.ttl / 20).await;
    }
    // A late renewal must neither revive the lease nor take another owner's lease.
    expected!(a.ask(&key, &one, fleet.renew()).await?, Reply::Gone => {}, "another has the key");
    b.ask(&key, &other, RELEASE).await?;
    expected!(a.ask(&key, &one, fleet.renew()).await?, Reply::Gone => {}, "the key is free");
    expected!(b.ask(&key, &other, acquire).await?, Reply::Granted(_) => {}, "nobody has the key");
    b.ask(&key, &other, RELEASE).await?;
    Ok(())
}

pub(super) async fn only_the_owner_changes_a_lease(fleet: &Fleet) -> Checked {
    let (mut a, mut b) = (fleet.process().await?, fleet.process().await?);
    let (key, one, other) = (fleet.key()?, a.owner(), b.owner());
    let acquire = fleet.acquire(IfHeld::Refuse);
    expected!(a.ask(&key, &one, acquire).await?, Reply::Granted(_) => {}, "the key is free");
    expected!(b.ask(&key, &other, fleet.renew()).await?, Reply::Gone => {}, "a stranger renews");
    if b.claim().tokens > 1 {
        let reserve = Op::Reserve { tokens: 2 };
        expected!(b.ask(&key, &other, reserve).await?, Reply::Gone => {}, "a stranger reserves");
    }
    expected!(b.ask(&key, &other, RELEASE).await?, Reply::Released => {}, "a stranger releases");
    expected!(b.ask(&key, &other, acquire).await?, Reply::Held { .. } => {},
        "a stranger's release took the key from its owner");
    expected!(a.ask(&key, &one, fleet.renew()).await?, Reply::Renewed { .. } => {}, "the owner renews");
    a.ask(&key, &one, RELEASE).await?;
    Ok(())
}

pub(super) async fn tokens_grow_from_grant_to_grant(fleet: &Fleet) -> Checked {
    let key = fleet.key()?;
    let acquire = fleet.acquire(IfHeld::Refuse);
    let mut past = 1;
    for _ in 0..3 {
        let mut process = fleet.process().await?;
        for _ in 0..4 {
            let owner = process.owner();
            let granted = expected!(process.ask(&key, &owner, acquire).await?,
                Reply::Granted(granted) => granted, "the key is free");
            let asked = u64::from(process.claim().tokens);
            let count = granted.tokens.end.saturating_sub(granted.tokens.start);
            if granted.tokens.start < past || count == 0 || count > asked {
                violated!(
                    "{asked} tokens from {past} on were wanted: {:?}",
                    granted.tokens
                );
            }
            past = granted.tokens.end;
            if asked > 1 {
                let reserve = Op::Reserve { tokens: 3 };
                let more = expected!(process.ask(&key, &owner, reserve).await?,
                    Reply::Reserved(more) => more.tokens, "the owner reserves");
                if more.start < past || more.is_empty() || more.end - more.start > 3 {
                    violated!("3 tokens from {past} on were reserved: {more:?}");
                }
                past = more.end;
            }
            process.ask(&key, &owner, RELEASE).await?;
        }
    }
    Ok(())
}
