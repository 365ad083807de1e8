//! The settings of a pool, from the environment.

use std::time::Duration;

use super::LockPoolBuilder;
use crate::Error;
#[cfg(feature = "redis")]
use crate::backend::redis::RedisOptions;
use crate::spec::Wait;

impl LockPoolBuilder {
    /// Reads the settings from the variables that `read` returns.
    pub(crate) fn from_variables(read: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let url = read("LOCKATTR_URL").ok_or_else(|| {
            let reason =
                "it is not set; set it to redis://… or, for one process only, to memory://";
            Error::config("LOCKATTR_URL", reason)
        })?;
        let mut builder = Self::default().url(url);
        apply!(
            builder,
            parse(&read, "LOCKATTR_TTL", "a duration such as 30s", parse_duration)? => default_ttl,
            parse(&read, "LOCKATTR_WAIT", "a duration such as 2s, or `forever`", parse_wait)? => default_wait,
        );
        #[cfg(feature = "redis")]
        {
            builder.redis = redis_from(&read)?;
        }
        Ok(builder)
    }
}

#[cfg(feature = "redis")]
fn redis_from(read: impl Fn(&str) -> Option<String>) -> Result<RedisOptions, Error> {
    let mut options = RedisOptions::new();
    let number = |variable| parse(&read, variable, "a number", |text| text.parse().ok());
    let switch = |variable| parse(&read, variable, "true or false", |text| text.parse().ok());
    let replicas = |text: &str| text.parse().ok();
    let span = |variable, expected| parse(&read, variable, expected, parse_duration);
    apply!(
        options,
        read("LOCKATTR_PREFIX") => prefix,
        number("LOCKATTR_CONNECTIONS")? => connections,
        switch("LOCKATTR_STRICT")? => strict,
        parse(&read, "LOCKATTR_CONFIRM_REPLICAS", "a number below 256", replicas)? => confirm_replicas,
        switch("LOCKATTR_CONFIRM_FSYNC")? => confirm_fsync,
        span("LOCKATTR_CONFIRM_WITHIN", "a duration such as 500ms")? => confirm_within,
        span("LOCKATTR_MEMBER_TIMEOUT", "a duration such as 100ms")? => member_timeout,
        span("LOCKATTR_RESTART_DELAY", "a duration such as 60s")? => restart_delay,
    );
    Ok(options)
}

pub(super) fn parse_wait(text: &str) -> Option<Wait> {
    match text {
        "forever" => Some(Wait::Forever),
        text => parse_duration(text).map(Wait::For),
    }
}

pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    // humantime panics if a sum just passes the last second that it can count, which no short text
    // reaches.
    let text = Some(text).filter(|text| text.len() <= 24)?;
    humantime::parse_duration(text).ok()
}

fn parse<T>(
    read: impl Fn(&str) -> Option<String>,
    variable: &'static str,
    expected: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, Error> {
    let Some(text) = read(variable) else {
        return Ok(None);
    };
    let value =
        parse(&text).ok_or_else(|| Error::config(variable, format!("expected {expected}")))?;
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<LockPoolBuilder, Error> {
        LockPoolBuilder::from_variables(|name| {
            let variable = variables.iter().find(|(variable, _)| *variable == name);
            variable.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn variables_are_read() {
        let builder = from(&[
            ("LOCKATTR_URL", "redis://h/"),
            ("LOCKATTR_PREFIX", "shop"),
            ("LOCKATTR_TTL", "1m 5s"),
            ("LOCKATTR_WAIT", "forever"),
            ("LOCKATTR_CONNECTIONS", "3"),
            ("LOCKATTR_STRICT", "true"),
            ("LOCKATTR_CONFIRM_REPLICAS", "2"),
            ("LOCKATTR_CONFIRM_FSYNC", "true"),
            ("LOCKATTR_CONFIRM_WITHIN", "2s"),
            ("LOCKATTR_MEMBER_TIMEOUT", "20ms"),
            ("LOCKATTR_RESTART_DELAY", "1m"),
        ])
        .unwrap();
        assert_eq!(builder.default_ttl, Duration::from_secs(65));
        assert_eq!(builder.default_wait, Wait::Forever);
        #[cfg(feature = "redis")]
        {
            assert_eq!(builder.redis.prefix, "shop");
            assert!(builder.redis.connections == 3 && builder.redis.strict);
            assert!(builder.redis.confirm_replicas == 2 && builder.redis.confirm_fsync);
            assert_eq!(builder.redis.confirm_within, Duration::from_secs(2));
            assert_eq!(builder.redis.member_timeout, Duration::from_millis(20));
            assert_eq!(builder.redis.restart_delay, Duration::from_secs(60));
        }
    }

    #[test]
    fn a_duration_past_all_bounds_is_an_error_and_no_panic() {
        for text in ["18446744073709551615s1000ms", "5124095576030431h15s1000ms"] {
            from(&[("LOCKATTR_URL", "memory://"), ("LOCKATTR_WAIT", text)]).unwrap_err();
        }
    }

    #[test]
    fn wrong_variables_are_named_without_their_values() {
        let missing = from(&[]).unwrap_err();
        assert!(
            matches!(
                missing,
                Error::Config {
                    setting: "LOCKATTR_URL",
                    ..
                }
            ),
            "{missing}"
        );
        let of_redis = ["LOCKATTR_CONNECTIONS", "LOCKATTR_STRICT"];
        let of_redis = of_redis.into_iter().filter(|_| cfg!(feature = "redis"));
        for variable in ["LOCKATTR_TTL", "LOCKATTR_WAIT"]
            .into_iter()
            .chain(of_redis)
        {
            let wrong = from(&[("LOCKATTR_URL", "memory://"), (variable, "s3cret")]).unwrap_err();
            let text = wrong.to_string();
            assert!(
                text.contains(variable) && !text.contains("s3cret"),
                "{text}"
            );
        }
    }
}
