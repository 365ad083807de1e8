//! Which calls of a pool ask for confirmation, and whether its lock service can give it.

use std::time::Duration;

use crate::Error;
use crate::backend::Confirmation;
#[cfg(feature = "redis")]
use crate::backend::redis::RedisOptions;
use crate::spec::Options;
use crate::timing;

/// What calls get that do not say so themselves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Confirming {
    replicas: u8,
    fsync: bool,
    within: Duration,
    is_possible: bool,
}

impl Default for Confirming {
    fn default() -> Self {
        Self {
            replicas: 0,
            fsync: false,
            within: timing::DEFAULT_CONFIRM_WITHIN,
            is_possible: false,
        }
    }
}

impl Confirming {
    #[cfg(feature = "redis")]
    pub(super) fn by_default_of(options: &RedisOptions) -> Self {
        Self {
            replicas: options.confirm_replicas,
            fsync: options.confirm_fsync,
            within: options.confirm_within,
            is_possible: false,
        }
    }

    /// Takes in what the lock service can do.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the pool asks for more.
    pub(super) fn found(&mut self, is_possible: bool) -> Result<(), Error> {
        self.is_possible = is_possible;
        self.of(&Options::DEFAULT, timing::MAX_TTL).map(drop)
    }

    /// Returns what a call with these options asks for.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the lock service cannot give it.
    pub(super) fn of(
        &self,
        options: &Options,
        ttl: Duration,
    ) -> Result<Option<Confirmation>, Error> {
        let asked = self.asked(options, ttl);
        match asked {
            Some(asked) if !self.is_possible => {
                let (setting, copies) = if asked.replicas > 0 {
                    ("confirm_replicas", "has no replicas that")
                } else {
                    ("confirm_fsync", "has no file that it")
                };
                let reason = format!(
                    "the lock service of this pool {copies} could confirm a lease; drop the option, or \
                     use a Redis or Valkey server"
                );
                Err(Error::config(setting, reason))
            }
            asked => Ok(asked),
        }
    }

    /// # Errors
    ///
    /// [`Error::Config`] if a call with the options `outer` asks for less.
    pub(super) fn check_nested(&self, options: &Options, outer: &Options) -> Result<(), Error> {
        let of = |options| self.asked(options, timing::MAX_TTL);
        if Confirmation::covers(of(outer), of(options)) {
            return Ok(());
        }
        Err(Error::config(
            "confirm_replicas",
            "a nested call asks for more confirmation than the lease has that it would run under; set \
             the same `confirm_replicas` and `confirm_fsync` for the outer call",
        ))
    }

    fn asked(&self, options: &Options, ttl: Duration) -> Option<Confirmation> {
        let replicas = options.confirm_replicas.unwrap_or(self.replicas);
        let fsync = options.confirm_fsync.unwrap_or(self.fsync);
        (replicas > 0 || fsync).then(|| Confirmation {
            replicas,
            fsync,
            within: timing::confirmed_within(self.within, ttl),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(
        confirming: &Confirming,
        replicas: Option<u8>,
        fsync: Option<bool>,
    ) -> Option<(u8, bool)> {
        let options = Options {
            confirm_replicas: replicas,
            confirm_fsync: fsync,
            ..Options::DEFAULT
        };
        let asked = confirming.of(&options, Duration::from_secs(10)).unwrap();
        asked.map(|asked| (asked.replicas, asked.fsync))
    }

    #[test]
    fn a_call_asks_for_what_it_says_and_else_for_what_the_pool_says() {
        let mut confirming = Confirming::default();
        confirming.found(true).unwrap();
        assert_eq!(of(&confirming, None, None), None);
        assert_eq!(of(&confirming, Some(2), None), Some((2, false)));
        assert_eq!(of(&confirming, None, Some(true)), Some((0, true)));
        confirming.replicas = 1;
        assert_eq!(of(&confirming, None, None), Some((1, false)));
        assert_eq!(of(&confirming, None, Some(true)), Some((1, true)));
        assert_eq!(of(&confirming, Some(0), None), None);
    }

    #[test]
    fn a_short_ttl_leaves_less_time() {
        let mut confirming = Confirming {
            replicas: 1,
            ..Confirming::default()
        };
        confirming.found(true).unwrap();
        for (ttl, within) in [(10_000, 500), (400, 100)] {
            let asked = confirming.of(&Options::DEFAULT, Duration::from_millis(ttl));
            assert_eq!(
                asked.unwrap().unwrap().within,
                Duration::from_millis(within)
            );
        }
    }

    #[test]
    fn a_service_that_cannot_confirm_is_told() {
        let mut confirming = Confirming {
            fsync: true,
            ..Confirming::default()
        };
        let refused = confirming.found(false).unwrap_err();
        assert!(
            matches!(
                refused,
                Error::Config {
                    setting: "confirm_fsync",
                    ..
                }
            ),
            "{refused}"
        );
        confirming.fsync = false;
        confirming.found(false).unwrap();
        let options = Options {
            confirm_replicas: Some(1),
            ..Options::DEFAULT
        };
        let refused = confirming
            .of(&options, Duration::from_secs(10))
            .unwrap_err();
        assert!(
            matches!(
                refused,
                Error::Config {
                    setting: "confirm_replicas",
                    ..
                }
            ),
            "{refused}"
        );
    }
}
