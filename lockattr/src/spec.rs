//! The options of one `#[distributed_lock]`, fixed at compile time.

use std::time::Duration;

use crate::label::Function;
use crate::mode::Mode;
use crate::timing::{MAX_TTL, MIN_TTL};

/// How long a call is willing to queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wait {
    /// At most this duration; zero means to try once.
    For(Duration),
    /// Until the lock is free, however long that takes.
    Forever,
}

impl From<Duration> for Wait {
    fn from(wait: Duration) -> Self {
        Self::For(wait)
    }
}

/// What happens to the body when its lease is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnLost {
    /// The body's future is dropped when the validity ends, and the caller gets
    /// [`Error::Lost`](crate::Error::Lost).
    #[default]
    Cancel,
    /// The body runs to its end; the loss is traced, and [`Lease::lost`](crate::Lease::lost)
    /// reports it to the body.
    Finish,
    /// The body runs to its end; if the lease is over by then, its value is dropped, and the caller
    /// gets [`Error::Lost`](crate::Error::Lost).
    Error,
}

/// Whether a call waits for its release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Release {
    /// The call returns when the lock service has confirmed the release, or has failed to confirm
    /// it for the first time. After a confirmation the key is free for other processes.
    #[default]
    Await,
    /// The call returns at once, one round trip sooner. The next request of this process for the
    /// key goes behind the release; failures are counted and traced, and
    /// [`shutdown`](crate::LockPool::shutdown) waits for all these releases.
    Background,
}

/// The options of one attribute; unset options come from the pool.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    pub(crate) function: Function,
    pub(crate) options: Options,
}

/// The options of one acquisition, shared by the attribute and the builder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    pub(crate) ttl: Option<Duration>,
    pub(crate) wait: Option<Wait>,
    pub(crate) renew: bool,
    pub(crate) max_hold: Option<Duration>,
    pub(crate) on_lost: OnLost,
    pub(crate) reentrant: bool,
    pub(crate) release: Option<Release>,
    pub(crate) confirm_replicas: Option<u8>,
    pub(crate) confirm_fsync: Option<bool>,
    pub(crate) mode: Mode,
    /// How long after the grant other calls are kept out at least.
    pub(crate) min_hold: Option<Duration>,
    /// Whether that also counts for a body that failed.
    pub(crate) min_hold_on_failure: bool,
}

impl Options {
    pub(crate) const DEFAULT: Self = Self {
        ttl: None,
        wait: None,
        renew: true,
        max_hold: None,
        on_lost: OnLost::Cancel,
        reentrant: false,
        release: None,
        confirm_replicas: None,
        confirm_fsync: None,
        mode: Mode::Exclusive,
        min_hold: None,
        min_hold_on_failure: false,
    };
}

#[allow(missing_docs, reason = "named by the macro's expansion only")]
impl Spec {
    #[must_use]
    pub const fn new(path: &'static str, keys: &'static str) -> Self {
        Self {
            function: Function { path, keys },
            options: Options::DEFAULT,
        }
    }

    /// # Panics
    ///
    /// At compile time, when the ttl is out of range.
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        assert!(
            ttl.as_nanos() >= MIN_TTL.as_nanos(),
            "`ttl` is below 50ms, which no network round trip fits into"
        );
        assert!(
            ttl.as_nanos() <= MAX_TTL.as_nanos(),
            "`ttl` is above 24h, for which a crash would lock everyone out"
        );
        self.options.ttl = Some(ttl);
        self
    }

    #[must_use]
    pub const fn wait(mut self, wait: Duration) -> Self {
        self.options.wait = Some(Wait::For(wait));
        self
    }

    #[must_use]
    pub const fn wait_forever(mut self) -> Self {
        self.options.wait = Some(Wait::Forever);
        self
    }

    #[must_use]
    pub const fn renew(mut self, renew: bool) -> Self {
        self.options.renew = renew;
        self
    }

    /// # Panics
    ///
    /// At compile time, when it is zero.
    #[must_use]
    pub const fn max_hold(mut self, max_hold: Duration) -> Self {
        assert!(
            !max_hold.is_zero(),
            "`max_hold` is zero: the body could never run"
        );
        self.options.max_hold = Some(max_hold);
        self
    }

    #[must_use]
    pub const fn finish_when_lost(mut self) -> Self {
        self.options.on_lost = OnLost::Finish;
        self
    }

    #[must_use]
    pub const fn error_when_lost(mut self) -> Self {
        self.options.on_lost = OnLost::Error;
        self
    }

    #[must_use]
    pub const fn reentrant(mut self, reentrant: bool) -> Self {
        self.options.reentrant = reentrant;
        self
    }

    #[must_use]
    pub const fn confirm_replicas(mut self, replicas: u8) -> Self {
        self.options.confirm_replicas = Some(replicas);
        self
    }

    #[must_use]
    pub const fn confirm_fsync(mut self, fsync: bool) -> Self {
        self.options.confirm_fsync = Some(fsync);
        self
    }

    #[must_use]
    pub const fn shared(mut self) -> Self {
        self.options.mode = Mode::Shared;
        self
    }

    /// # Panics
    ///
    /// At compile time, when one of them is zero, or `weight` is more than `permits`.
    #[must_use]
    pub const fn permits(mut self, permits: u32, weight: u32) -> Self {
        assert!(permits > 0, "`permits` is zero: the call could never run");
        assert!(
            weight > 0,
            "`weight` is zero: the call would take no permit"
        );
        assert!(
            weight <= permits,
            "`weight` is more than `permits`: the call could never run"
        );
        self.options.mode = Mode::Permits { permits, weight };
        self
    }

    /// # Panics
    ///
    /// At compile time, when it is zero.
    #[must_use]
    pub const fn min_hold(mut self, min_hold: Duration) -> Self {
        assert!(
            !min_hold.is_zero(),
            "`min_hold` is zero: it would keep nobody out"
        );
        self.options.min_hold = Some(min_hold);
        self
    }

    #[must_use]
    pub const fn min_hold_on_failure(mut self, counts: bool) -> Self {
        self.options.min_hold_on_failure = counts;
        self
    }

    #[must_use]
    pub const fn await_release(mut self) -> Self {
        self.options.release = Some(Release::Await);
        self
    }

    #[must_use]
    pub const fn release_in_background(mut self) -> Self {
        self.options.release = Some(Release::Background);
        self
    }

    /// Checks constants against each other. The macro checks literals, and points at them.
    ///
    /// # Panics
    ///
    /// At compile time, when two times contradict each other.
    #[must_use]
    pub const fn checked(self) -> Self {
        let Options {
            ttl,
            renew,
            max_hold,
            min_hold,
            ..
        } = self.options;
        if let (Some(max_hold), Some(ttl)) = (max_hold, ttl) {
            assert!(
                max_hold.as_nanos() >= ttl.as_nanos(),
                "`max_hold` is shorter than `ttl`: the lease would end before it has to be renewed"
            );
        }
        if let (Some(min_hold), Some(max_hold)) = (min_hold, max_hold) {
            assert!(
                min_hold.as_nanos() <= max_hold.as_nanos(),
                "`min_hold` is longer than `max_hold`, at which the lease ends"
            );
        }
        if let (Some(min_hold), Some(ttl), false) = (min_hold, ttl, renew) {
            assert!(
                min_hold.as_nanos() <= ttl.as_nanos(),
                "`min_hold` is longer than `ttl`, at which the lease ends with `renew = false`"
            );
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "`ttl` is below 50ms")]
    fn a_constant_ttl_is_checked_too() {
        let _ = Spec::new("module::function", "key").ttl(Duration::from_millis(1));
    }

    #[test]
    #[should_panic(expected = "`max_hold` is zero")]
    fn a_constant_max_hold_is_checked_too() {
        let _ = Spec::new("module::function", "key").max_hold(Duration::ZERO);
    }

    #[test]
    #[should_panic(expected = "`min_hold` is zero")]
    fn a_constant_min_hold_is_checked_too() {
        let _ = Spec::new("module::function", "key").min_hold(Duration::ZERO);
    }

    #[test]
    #[should_panic(expected = "`permits` is zero")]
    fn constant_permits_are_checked_too() {
        let _ = Spec::new("module::function", "key").permits(0, 1);
    }

    #[test]
    fn the_options_are_carried() {
        let second = Duration::from_secs(1);
        let spec = Spec::new("module::function", "key")
            .permits(5, 2)
            .min_hold(second)
            .min_hold_on_failure(true)
            .error_when_lost()
            .checked();
        let options = spec.options;
        assert_eq!(
            options.mode,
            Mode::Permits {
                permits: 5,
                weight: 2
            }
        );
        assert_eq!(options.min_hold, Some(second));
        assert!(options.min_hold_on_failure);
        assert_eq!(options.on_lost, OnLost::Error);
        assert_eq!(spec.shared().options.mode, Mode::Shared);
    }
}
