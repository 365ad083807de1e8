//! The arithmetic of leases: how long they are valid, when they are renewed, how long one attempt
//! may take.

use std::time::Duration;

use crate::Error;
use crate::clock::Time;

/// The shortest ttl: a shorter lease would end before a slow round trip does.
pub(crate) const MIN_TTL: Duration = Duration::from_millis(50);
/// The longest ttl: after a crash, other calls wait this long.
pub(crate) const MAX_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the queue of a key stays on the server after its waiters were last heard of.
pub(crate) const QUEUE_LIFE: Duration = Duration::from_secs(60);

/// How much longer than its lease a tombstone lasts.
const TOMBSTONE_MARGIN: Duration = Duration::from_secs(5);

/// Returns when a lease ends for its holder, if the attempt that got or renewed it was sent at
/// `sent_at`.
///
/// Counted from before the sending, less the possible drift between the two clocks (1 % of the ttl,
/// and 2 ms for the granularity of timers, as in the Redlock description), so that the holder stops
/// before the server gives the key to another holder.
pub(crate) fn validity_end(sent_at: Time, ttl: Duration) -> Time {
    let drift = ttl / 100 + Duration::from_millis(2);
    sent_at + ttl.saturating_sub(drift)
}

/// Returns whether a fresh grant has enough time left to be used as a lease.
pub(crate) fn worth_having(valid_until: Time, now: Time, ttl: Duration) -> bool {
    valid_until.since(now) >= ttl / 2
}

/// Returns when to renew a lease last confirmed at `sent_at`.
///
/// Counted from the last success and not from when the keeper woke up, so that scheduling delays do
/// not add up.
pub(crate) fn renewal_due(sent_at: Time, ttl: Duration) -> Time {
    sent_at + ttl / 3
}

/// Returns the pause after a failed renewal: short, because the lease is running out.
pub(crate) fn renewal_retry(ttl: Duration) -> Duration {
    (ttl / 20).clamp(Duration::from_millis(5), Duration::from_secs(1))
}

/// An attempt may take half of the ttl, up to this time.
const SHORT_PATIENCE: Duration = Duration::from_millis(250);

/// Returns how long one attempt may take before its outcome counts as unknown: a quarter of the
/// ttl, so that there is time for more attempts; half of a short ttl, because the way to the server
/// does not become shorter with the ttl.
pub(crate) fn patience(response_timeout: Duration, ttl: Duration) -> Duration {
    (ttl / 4)
        .max((ttl / 2).min(SHORT_PATIENCE))
        .min(response_timeout)
}

/// How long the lock service may take to confirm a change, unless the pool sets it.
pub(crate) const DEFAULT_CONFIRM_WITHIN: Duration = Duration::from_millis(500);

/// How long one server of a quorum may take for an answer, unless the pool sets it.
#[cfg(feature = "redis")]
pub(crate) const DEFAULT_MEMBER_TIMEOUT: Duration = Duration::from_millis(100);

/// Returns how long the lock service may take to confirm a change, if the user allows it `within`: a
/// quarter of the ttl at most. An attempt may wait for the confirmation of the one before it, and then
/// for its own; so half of the ttl is left.
pub(crate) fn confirmed_within(within: Duration, ttl: Duration) -> Duration {
    within.min(ttl / 4)
}

/// Returns how long an attempt may take that is to be confirmed, see [`patience`].
pub(crate) fn confirmed_patience(patience: Duration, within: Duration) -> Duration {
    patience.saturating_add(within.saturating_mul(2))
}

/// Returns how long a handed-over lease lasts unless its waiter renews it.
///
/// Two fifths of the claim window; the rest is for the other waiters to notice, see [`recheck`].
pub(crate) fn claim_ttl(claim_window: Duration, ttl: Duration) -> Duration {
    (claim_window / 5).saturating_mul(2).min(ttl)
}

/// The default claim window; only a distant server needs a longer one.
pub(crate) const DEFAULT_CLAIM_WINDOW: Duration = Duration::from_secs(1);

/// The shortest claim window: with a shorter one, thread scheduling alone makes claims too late.
pub(crate) const MIN_CLAIM_WINDOW: Duration = Duration::from_millis(50);

/// Returns the shortest claim window for a server with this round trip.
///
/// A handed-over lease is dated at most one round trip too early, and is taken if half of it is
/// left after the drift (see [`validity_end`], [`worth_having`]): 49 % of its ttl must be more than
/// a round trip and 2 ms. Its confirmation takes another round trip, within the [`patience`] for
/// that ttl: mostly half of it. The ttl is two fifths of the window (see [`claim_ttl`]).
pub(crate) fn least_claim_window(round_trip: Duration) -> Duration {
    let to_take =
        (round_trip.saturating_mul(53) / 10).saturating_add(Duration::from_micros(10_500));
    let to_confirm = if round_trip > SHORT_PATIENCE {
        round_trip.saturating_mul(10)
    } else {
        Duration::ZERO
    };
    to_take.max(to_confirm).max(MIN_CLAIM_WINDOW)
}

/// Returns how often a queued acquisition asks again, when its pool has this number of them.
///
/// Seldom enough that a key costs less than two requests a second, and a pool a few hundred, for
/// any number of keys; but well before its place in the queue could be forgotten.
pub(crate) fn recheck(claim_window: Duration, asking: usize) -> Duration {
    let crowd = u32::try_from(asking / 100).unwrap_or(u32::MAX).max(1);
    (claim_window / 5)
        .saturating_mul(3)
        .saturating_mul(crowd)
        .min(QUEUE_LIFE / 2)
}

/// The shortest pause between two attempts for a key that is polled, when so many of a pool are: a
/// pool asks a few hundred times a second, however much it waits for.
pub(crate) fn least_poll_pause(longest: Duration, asking: usize) -> Duration {
    let crowd = u32::try_from(asking / 100).unwrap_or(u32::MAX);
    longest.saturating_mul(crowd)
}

/// Returns how long a tombstone must last: longer than an acquire that is still on its way.
pub(crate) fn tombstone_life(ttl: Duration) -> Duration {
    ttl.saturating_add(TOMBSTONE_MARGIN)
}

/// Returns the pause before attempt `round` (from 0) at a service that fails or a lock that is
/// held: it doubles from `first` to `most`, with jitter, so that waiters do not fall into step.
pub(crate) fn backoff(
    round: u32,
    first: Duration,
    most: Duration,
    jitter: &mut fastrand::Rng,
) -> Duration {
    let full = first.saturating_mul(1 << round.min(16)).min(most);
    full.mul_f64(0.5 + 0.5 * jitter.f64())
}

/// # Errors
///
/// [`Error::Config`] for a ttl outside 50 ms to 24 h.
pub(crate) fn check_ttl(ttl: Duration) -> Result<(), Error> {
    if ttl < MIN_TTL || ttl > MAX_TTL {
        return Err(Error::config(
            "ttl",
            format!("{ttl:?} is not between 50ms and 24h"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_nanos(1_000_000_000);

    #[test]
    fn a_lease_ends_for_its_holder_before_it_ends_on_the_server() {
        for ttl in [MIN_TTL, Duration::from_secs(10), MAX_TTL] {
            let end = validity_end(START, ttl);
            assert!(end < START + ttl);
            assert!(end > renewal_due(START, ttl));
            assert!(worth_having(end, START, ttl));
            assert!(!worth_having(end, START + ttl * 6 / 10, ttl));
        }
    }

    #[test]
    fn the_longest_ttl_is_a_day() {
        assert_eq!(MAX_TTL.as_secs(), 86_400);
    }

    /// A lease handed over with the shortest window is taken and confirmed in time.
    #[test]
    fn the_least_claim_window_is_long_enough() {
        for millis in [0, 1, 2, 5, 10, 50, 100, 249, 250, 251, 500] {
            let round_trip = Duration::from_millis(millis);
            let window = least_claim_window(round_trip);
            let claim = claim_ttl(window, MAX_TTL);
            let dated = START;
            let arrives = dated + round_trip;
            let end = validity_end(dated, claim);
            assert!(worth_having(end, arrives, claim), "{millis}");
            assert!(patience(MAX_TTL, claim) >= round_trip, "{millis}");
        }
        // The default is enough for a round trip of 180 ms.
        assert!(least_claim_window(Duration::from_millis(180)) < Duration::from_secs(1));
        assert!(least_claim_window(Duration::MAX) >= Duration::MAX / 10);
    }

    #[test]
    fn the_longest_durations_saturate() {
        let longest = Duration::MAX;
        assert_eq!(claim_ttl(longest, MAX_TTL), MAX_TTL);
        assert_eq!(recheck(longest, usize::MAX), QUEUE_LIFE / 2);
        assert_eq!(patience(longest, MAX_TTL), MAX_TTL / 4);
        assert_eq!(tombstone_life(longest), longest);
        assert_eq!(validity_end(START, longest), Time::NEVER);
    }

    /// About 170 requests a second for a pool, until it waits for five thousand keys.
    #[test]
    fn waiters_ask_again_less_often_when_more_wait() {
        let window = Duration::from_secs(1);
        for (asking, after) in [
            (1, 600),
            (199, 600),
            (200, 1200),
            (1000, 6000),
            (1_000_000, 30_000),
        ] {
            assert_eq!(recheck(window, asking), Duration::from_millis(after));
        }
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        let mut jitter = fastrand::Rng::with_seed(7);
        let (first, most) = (Duration::from_millis(2), Duration::from_millis(100));
        for round in 0..64 {
            let pause = backoff(round, first, most, &mut jitter);
            assert!(pause >= first / 2 && pause <= most);
        }
        assert!(backoff(40, first, most, &mut jitter) >= most / 2);
    }
}
