//! The built-in backends conform, and the check for each flaw finds it.

mod flawed;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::process::Fleet;
use super::{
    Checked, Conformance, Violations, in_time, leases, modes, outcomes, pools, queue, told,
};
use crate::backend::memory::MemoryBackend;
use flawed::{Flaw, Flawed};

#[tokio::test]
async fn the_memory_conforms() -> Result<(), Violations> {
    let connect = |_| async { Ok(MemoryBackend::named("conformance")) };
    Conformance::new(connect)
        .ttl(Duration::from_millis(300))
        .check()
        .await
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn redis_conforms() -> Result<(), Violations> {
    use crate::backend::redis::{RedisBackend, RedisServer, RedisSettings};
    let server = RedisServer::start();
    for connections in [1, 3] {
        let url = server.url();
        let connect = move |owners| {
            let settings = RedisSettings::of(&url, connections);
            async move {
                let connected = RedisBackend::connect(settings, &owners).await;
                Ok(connected.expect("the server is there"))
            }
        };
        Conformance::new(connect)
            .ttl(Duration::from_millis(600))
            .check()
            .await?;
    }
    Ok(())
}

/// Returns how a check ended that failed the first time, and how often it was made. Its first process
/// needs this long to connect.
async fn after_a_failure(first_connection: Duration) -> (Checked, u32) {
    let connections = Arc::new(AtomicU32::new(0));
    let connect = move |_| {
        let is_first = connections.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            if is_first {
                tokio::time::sleep(first_connection).await;
            }
            Ok(MemoryBackend::named("slow"))
        }
    };
    let fleet = Fleet::new(connect, Duration::from_secs(1), 0);
    let tries = Cell::new(0);
    let ended = in_time(&fleet, async |fleet: &Fleet| {
        tries.set(tries.get() + 1);
        fleet.process().await?;
        if tries.get() == 1 {
            violated!("the lease is over");
        }
        Ok(())
    });
    (ended.await, tries.get())
}

#[tokio::test]
async fn a_failure_while_all_was_slow_proves_nothing() {
    assert_eq!(after_a_failure(Duration::from_secs(1)).await, (Ok(()), 2));
    let (ended, tries) = after_a_failure(Duration::ZERO).await;
    assert!(ended.is_err() && tries == 1, "{tries}: {ended:?}");
}

/// Maps each flaw to the check that finds it.
macro_rules! finds {
    ($($flaw:ident => $module:ident::$check:ident),* $(,)?) => {$(
        #[tokio::test]
        #[expect(non_snake_case, reason = "the flaw's name")]
        async fn $flaw() {
            let name = stringify!($flaw);
            let connect = move |owners| {
                let flawed = Flawed::new(name, Flaw::$flaw, owners);
                async { Ok(flawed) }
            };
            let fleet = Fleet::new(connect, Duration::from_millis(200), 0);
            let found = $module::$check(&fleet).await;
            assert!(found.is_err(), "it is not found");
        }
    )*};
}

mod finds {
    use super::*;

    finds! {
        LetsTwoIn => leases::one_owner_has_a_key,
        LetsTwoInAtOnce => leases::one_of_many_at_once_has_it,
        NeverEnds => leases::a_lease_ends_by_itself_and_not_before,
        EndsEarly => leases::a_lease_ends_by_itself_and_not_before,
        RenewalDoesNothing => leases::a_renewal_prolongs_and_never_shortens,
        RenewalRevives => leases::a_renewal_prolongs_and_never_shortens,
        StrangersRelease => leases::only_the_owner_changes_a_lease,
        StrangersRenew => leases::only_the_owner_changes_a_lease,
        TokensRepeat => leases::tokens_grow_from_grant_to_grant,
        ReservedTokensRepeat => leases::tokens_grow_from_grant_to_grant,
        TokensAnew => outcomes::each_operation_is_idempotent,
        NoTombstones => outcomes::a_tombstone_refuses_a_late_acquire,
        LastComesFirst => outcomes::a_release_comes_before_the_next_acquire,
        EndsTwice => outcomes::each_attempt_ends_once,
        ForgetsOverdueAttempts => outcomes::an_overdue_attempt_does_no_harm,
        TellsAnother => queue::waiters_come_in_turn,
        HidesWaiters => queue::a_lease_that_was_handed_over_is_one,
        DatesTooLate => queue::a_lease_that_was_handed_over_is_one,
        ClaimsTooLong => queue::a_lease_that_was_handed_over_is_one,
        PlaceIsLost => queue::asking_again_keeps_the_place,
        RefusedWait => queue::refused_and_cancelled_waiters_have_no_place,
        WaitersNeverLeave => queue::refused_and_cancelled_waiters_have_no_place,
        NewcomersOvertake => queue::nobody_overtakes_a_waiter_when_a_lease_ends,
        GoneWaitersStay => queue::a_waiter_that_is_gone_costs_its_claim,
        TellsLastWaitersFirst => told::waiters_are_told_in_turn,
        ForgetsToCount => told::waiters_are_told_in_turn,
        ReadersAreAlone => modes::readers_come_together_and_writers_alone,
        WritersReadToo => modes::readers_come_together_and_writers_alone,
        WritersNeverLeave => modes::a_writer_that_leaves_lets_readers_in,
        OnePermitTooMany => modes::no_more_than_the_permits_are_taken,
        WeightsAreForgotten => modes::no_more_than_the_permits_are_taken,
        NumbersDiffer => modes::other_modes_are_refused,
        SharesLiveOn => modes::a_share_ends_by_itself,
        MinHoldIsForgotten => modes::min_hold_keeps_others_out,
        PoolsMeetTwo => pools::calls_exclude_each_other,
        PoolsLeaveLocks => pools::cancelled_calls_leave_nothing,
    }
}
