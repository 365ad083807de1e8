//! The arithmetic of leases: the only place that adds and subtracts their times.

use std::time::Duration;

/// The shortest ttl: below it a lease is over before a slow round trip is.
pub(crate) const MIN_TTL: Duration = Duration::from_millis(50);
/// The longest ttl: it is what everyone waits after a crash.
pub(crate) const MAX_TTL: Duration = Duration::from_secs(24 * 60 * 60);
