//! Which modes and which `min_hold` a call may ask for.

use std::time::Duration;

use crate::Error;
use crate::mode::Mode;
use crate::spec::Options;
use crate::timing::MAX_TTL;

/// What the pool's lock service has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offered {
    pub(super) modes: bool,
    pub(super) min_hold: bool,
}

impl Offered {
    /// # Errors
    ///
    /// [`Error::Config`] for what makes no sense, or what the lock service does not have.
    pub(super) fn check(self, options: &Options, ttl: Duration) -> Result<(), Error> {
        self.check_mode(options.mode)?;
        let Some(min_hold) = options.min_hold else {
            return Ok(());
        };
        let reason = if !self.min_hold {
            "the lock service of this pool cannot keep others out after a release; drop the option, or use \
             Redis, Valkey or PostgreSQL"
        } else if min_hold > MAX_TTL {
            "it is above 24h"
        } else if min_hold > ttl && !options.renew {
            "it is longer than the `ttl` of a lease that is not renewed, which would let others in before; set \
             a longer `ttl`, or drop `renew`"
        } else {
            return Ok(());
        };
        Err(Error::config("min_hold", reason))
    }

    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub(super) fn check_mode(self, mode: Mode) -> Result<(), Error> {
        let (setting, reason) = match mode {
            Mode::Exclusive => return Ok(()),
            Mode::Permits { permits: 0, .. } => (
                "permits",
                "there is none: the call could never run; set `permits` to 1 or more",
            ),
            Mode::Permits { weight: 0, .. } => {
                ("weight", "it is zero: the call would take no permit")
            }
            Mode::Permits { permits, weight } if weight > permits => (
                "weight",
                "it is more than the `permits` that there are: the call could never run",
            ),
            _ if self.modes => return Ok(()),
            mode => (
                if mode == Mode::Shared {
                    "shared"
                } else {
                    "permits"
                },
                "the lock service of this pool lets one holder have a key at a time; use a Redis or Valkey \
                 server that sends messages, a cluster or sentinels, PostgreSQL, ZooKeeper, or `memory://`",
            ),
        };
        Err(Error::config(setting, reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Offered = Offered {
        modes: true,
        min_hold: true,
    };
    const NONE: Offered = Offered {
        modes: false,
        min_hold: false,
    };
    const TTL: Duration = Duration::from_secs(10);

    fn setting(offered: Offered, options: Options) -> Option<&'static str> {
        match offered.check(&options, TTL) {
            Ok(()) => None,
            Err(Error::Config { setting, .. }) => Some(setting),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn a_call_is_refused_if_it_could_never_be_served() {
        let mode = |mode| Options {
            mode,
            ..Options::DEFAULT
        };
        let permits = |permits, weight| mode(Mode::Permits { permits, weight });
        for (options, by_all, by_none) in [
            (mode(Mode::Exclusive), None, None),
            (mode(Mode::Shared), None, Some("shared")),
            (permits(3, 3), None, Some("permits")),
            (permits(0, 1), Some("permits"), Some("permits")),
            (permits(3, 0), Some("weight"), Some("weight")),
            (permits(3, 4), Some("weight"), Some("weight")),
        ] {
            assert_eq!(setting(ALL, options), by_all, "{options:?}");
            assert_eq!(setting(NONE, options), by_none, "{options:?}");
        }
    }

    #[test]
    fn a_min_hold_is_refused_if_others_could_get_in_before() {
        let keeps = |min_hold, renew| Options {
            min_hold: Some(min_hold),
            renew,
            ..Options::DEFAULT
        };
        for (options, by_all) in [
            (keeps(TTL, false), None),
            (keeps(TTL * 2, true), None),
            (keeps(TTL * 2, false), Some("min_hold")),
            (keeps(MAX_TTL * 2, true), Some("min_hold")),
        ] {
            assert_eq!(setting(ALL, options), by_all, "{options:?}");
            assert_eq!(setting(NONE, options), Some("min_hold"));
        }
    }
}
