//! The arithmetic of leases: how long they are valid, when they are renewed, how long one attempt
//! may take.

use std::time::Duration;

use crate::Error;
use crate::clock::Time;

/// The shortest ttl: below it a lease is over before a slow round trip is.
pub(crate) const MIN_TTL: Duration = Duration::from_millis(50);
/// The longest ttl: it is what everyone waits after a crash.
pub(crate) const MAX_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the queue of a key stands on the server when none of its waiters is heard of any longer.
pub(crate) const QUEUE_LIFE: Duration = Duration::from_secs(60);

/// How much longer than a lease its tombstone stands.
const TOMBSTONE_MARGIN: Duration = Duration::from_secs(5);

/// When a lease ends for its holder, if the attempt that got or renewed it was sent at `sent_at`.
///
/// Counted from before the sending, less what the two clocks may drift apart (1 % of the ttl and
/// 2 ms for the granularity of timers, as in the Redlock description), so that the holder stops
/// before the server gives the key to somebody else.
pub(crate) fn validity_end(sent_at: Time, ttl: Duration) -> Time {
    let drift = ttl / 100 + Duration::from_millis(2);
    sent_at + ttl.saturating_sub(drift)
}

/// Whether what is left of a fresh grant is enough to be called a lease.
pub(crate) fn worth_having(valid_until: Time, now: Time, ttl: Duration) -> bool {
    valid_until.since(now) >= ttl / 2
}

/// When a lease last confirmed at `sent_at` is renewed.
///
/// Counted from the last success and not from when the keeper woke up, so that scheduling delays
/// do not add up.
pub(crate) fn renewal_due(sent_at: Time, ttl: Duration) -> Time {
    sent_at + ttl / 3
}

/// How long to pause after a renewal that failed: short, because the lease is running out.
pub(crate) fn renewal_retry(ttl: Duration) -> Duration {
    (ttl / 20).clamp(Duration::from_millis(5), Duration::from_secs(1))
}

/// Up to here one attempt may take half of the ttl.
const SHORT_PATIENCE: Duration = Duration::from_millis(250);

/// How long one attempt may take before its outcome counts as unknown: a quarter of the ttl, so that
/// there is time for others; for short leases a half, since the way to the server does not become
/// shorter with the ttl.
pub(crate) fn patience(response_timeout: Duration, ttl: Duration) -> Duration {
    (ttl / 4)
        .max((ttl / 2).min(SHORT_PATIENCE))
        .min(response_timeout)
}

/// How long a lease lasts that was handed to a waiter, unless the waiter renews it.
///
/// Two fifths of the claim window; the rest is for the others to notice, see [`recheck`].
pub(crate) fn claim_ttl(claim_window: Duration, ttl: Duration) -> Duration {
    (claim_window / 5).saturating_mul(2).min(ttl)
}

/// The claim window, unless the server is so far away that it needs more.
pub(crate) const DEFAULT_CLAIM_WINDOW: Duration = Duration::from_secs(1);

/// The shortest claim window: with less, the scheduling of threads alone makes claims come too late.
pub(crate) const MIN_CLAIM_WINDOW: Duration = Duration::from_millis(50);

/// The shortest claim window for a server so far away.
///
/// A lease that is handed over is dated a round trip too early at most, and is taken if half of it is
/// left after the drift (see [`validity_end`], [`worth_having`]): 49 % of its ttl are more than a round
/// trip and 2 ms. Its confirmation takes another one, within the [`patience`] for that ttl: half of it
/// mostly. The ttl is two fifths of the window (see [`claim_ttl`]).
#[cfg(any(feature = "redis", test))]
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

/// How often a queued waiter asks again, when so many of its pool do.
///
/// So seldom that a key costs less than two requests a second, and a pool some hundred, however
/// much it waits for; but well before its place in the queue could be forgotten.
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

/// How long a tombstone has to stand: longer than an acquire that is still on its way.
pub(crate) fn tombstone_life(ttl: Duration) -> Duration {
    ttl.saturating_add(TOMBSTONE_MARGIN)
}

/// The pause before attempt `round` (from 0) at a service that fails or a lock that is held:
/// doubling from `first` to `most`, and jittered so that those who wait do not come in step.
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

    /// Handed over with the least window, a lease is taken and confirmed in time.
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
        // The defaults suit half the world.
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

    /// Some 170 requests a second for a pool, until it waits for five thousand keys.
    #[test]
    fn whoever_waits_asks_again_the_less_the_more_wait() {
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
