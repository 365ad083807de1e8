//! Which settings a pool refuses.

use super::{LockPoolBuilder, Target};
use crate::Error;
use crate::timing::{MIN_CLAIM_WINDOW, check_ttl};

impl LockPoolBuilder {
    /// Returns the service to connect to.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming the setting that is wrong.
    pub(super) fn check(&self) -> Result<Target, Error> {
        let target = self.target.clone().ok_or_else(|| {
            Error::config("url", "it is not set; call `.url(\"redis://…\")` or, for one process only, `.url(\"memory://\")`")
        })?;
        check_ttl(self.default_ttl).map_err(|_| {
            Error::config(
                "default_ttl",
                format!("{:?} is not between 50ms and 24h", self.default_ttl),
            )
        })?;
        #[cfg(feature = "redis")]
        self.redis.check()?;
        #[cfg(feature = "redis")]
        {
            let delay = self.redis.restart_delay;
            if !delay.is_zero() && delay < self.default_ttl {
                let reason = format!(
                    "{delay:?} is less than the default ttl of {:?}: a server would vote again before the \
                     leases have ended that it may have forgotten",
                    self.default_ttl
                );
                return Err(Error::config("restart_delay", reason));
            }
        }
        for (setting, is_zero) in [
            ("connect_timeout", self.connect_timeout.is_zero()),
            ("response_timeout", self.response_timeout.is_zero()),
            ("max_in_flight", self.max_in_flight == 0),
            ("batch_size", self.batch.size == 0),
        ] {
            if is_zero {
                return Err(Error::config(setting, "it must not be zero"));
            }
        }
        if let Some(set) = self.claim_window.filter(|set| *set < MIN_CLAIM_WINDOW) {
            let least = MIN_CLAIM_WINDOW;
            let reason = format!("{set:?} is less than {least:?}: no claim could be in time");
            return Err(Error::config("claim_window", reason));
        }
        if let Target::Url(url) = &target {
            return Ok(self.service_of(url)?.map_or(target, Target::Service));
        }
        Ok(target)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn unusable_settings_are_refused() {
        let builder = || LockPoolBuilder::default().url("memory://");
        for (builder, setting) in [
            (LockPoolBuilder::default(), "url"),
            (
                builder().default_ttl(Duration::from_millis(1)),
                "default_ttl",
            ),
            (builder().connect_timeout(Duration::ZERO), "connect_timeout"),
            (
                builder().response_timeout(Duration::ZERO),
                "response_timeout",
            ),
            (builder().max_in_flight(0), "max_in_flight"),
            (
                builder().claim_window(Duration::from_millis(9)),
                "claim_window",
            ),
            (builder().batch_size(0), "batch_size"),
        ] {
            let refused = builder.check().err().unwrap();
            assert!(
                matches!(&refused, Error::Config { setting: named, .. } if *named == setting),
                "{refused}"
            );
        }
    }

    #[cfg(feature = "redis")]
    #[test]
    fn a_restart_delay_lasts_as_long_as_a_lease() {
        let check = |delay| {
            let options = crate::RedisOptions::new().restart_delay(Duration::from_secs(delay));
            let builder = LockPoolBuilder::default().url("redis+quorum://a,b,c");
            builder
                .default_ttl(Duration::from_secs(20))
                .redis(options)
                .check()
        };
        assert!(check(0).is_ok() && check(20).is_ok());
        let refused = check(19).err().unwrap().to_string();
        assert!(refused.contains("restart_delay"), "{refused}");
    }
}
