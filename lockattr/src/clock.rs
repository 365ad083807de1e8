//! The clock of leases.

use std::ops::Add;
use std::time::Duration;

/// A point in time of a monotonic clock that goes on while the machine is suspended.
///
/// `Instant` stops in suspend on Linux while the server's clock goes on, so a holder that wakes up
/// would believe in a lease that another process took over long ago. Nanoseconds since the start of
/// the machine, or of the process.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let sent_at = lockattr::backend::Time::now();
/// let ends_at = sent_at + Duration::from_secs(10);
/// assert_eq!(ends_at.since(sent_at), Duration::from_secs(10));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// A time that no clock reaches.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// Returns the present time.
    #[cfg(target_os = "linux")]
    pub fn now() -> Self {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Self(time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs())
    }

    /// Returns the present time.
    #[cfg(not(target_os = "linux"))]
    pub fn now() -> Self {
        use std::sync::LazyLock;
        use std::time::Instant;
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        Self::from_nanos(u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    pub(crate) const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub(crate) const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Returns the time so long before this one; the beginning of the clock if that is later.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        let span = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(span))
    }

    /// Returns how long after `earlier` this is; zero if it is not after it.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The clock of a pool.
#[derive(Debug, Clone)]
pub(crate) enum Clock {
    /// This machine's.
    Machine,
    /// That of a runtime, which its tests pause and advance.
    #[cfg(feature = "testing")]
    Runtime(RuntimeClock),
}

impl Clock {
    pub(crate) fn now(&self) -> Time {
        match self {
            Self::Machine => Time::now(),
            #[cfg(feature = "testing")]
            Self::Runtime(clock) => clock.now(),
        }
    }
}

/// The clock of a tokio runtime.
#[cfg(feature = "testing")]
#[derive(Debug, Clone)]
pub(crate) struct RuntimeClock {
    runtime: tokio::runtime::Handle,
    zero: tokio::time::Instant,
}

#[cfg(feature = "testing")]
impl RuntimeClock {
    /// That of the present runtime.
    pub(crate) fn here() -> Self {
        Self {
            runtime: tokio::runtime::Handle::current(),
            zero: tokio::time::Instant::now(),
        }
    }

    fn now(&self) -> Time {
        // Outside of the runtime, tokio shows the machine's time.
        let _inside = self.runtime.enter();
        // Far from zero: times before the start are computed too.
        Time::from_nanos(1 << 50) + self.zero.elapsed()
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    /// The end of the clock if the sum is past it.
    fn add(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_forward_and_never_overflows() {
        let early = Time::now();
        assert!(Time::now() >= early);
        assert_eq!(early + Duration::MAX, Time::NEVER);
        assert_eq!(early.since(Time::NEVER), Duration::ZERO);
    }
}
