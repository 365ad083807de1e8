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
        let a_duration = "a duration such as 30s";
        if let Some(ttl) = parse(&read, "LOCKATTR_TTL", a_duration, parse_duration)? {
            builder = builder.default_ttl(ttl);
        }
        if let Some(wait) = parse(
            &read,
            "LOCKATTR_WAIT",
            "a duration such as 2s, or `forever`",
            parse_wait,
        )? {
            builder = builder.default_wait(wait);
        }
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
    if let Some(prefix) = read("LOCKATTR_PREFIX") {
        options = options.prefix(prefix);
    }
    let connections = |text: &str| text.parse().ok();
    if let Some(connections) = parse(&read, "LOCKATTR_CONNECTIONS", "a number", connections)? {
        options = options.connections(connections);
    }
    let strict = |text: &str| text.parse().ok();
    if let Some(strict) = parse(&read, "LOCKATTR_STRICT", "true or false", strict)? {
        options = options.strict(strict);
    }
    let replicas = |text: &str| text.parse().ok();
    let number = "a number below 256";
    if let Some(replicas) = parse(&read, "LOCKATTR_CONFIRM_REPLICAS", number, replicas)? {
        options = options.confirm_replicas(replicas);
    }
    if let Some(fsync) = parse(&read, "LOCKATTR_CONFIRM_FSYNC", "true or false", strict)? {
        options = options.confirm_fsync(fsync);
    }
    let within = "a duration such as 500ms";
    if let Some(within) = parse(&read, "LOCKATTR_CONFIRM_WITHIN", within, parse_duration)? {
        options = options.confirm_within(within);
    }
    let timeout = "a duration such as 100ms";
    if let Some(timeout) = parse(&read, "LOCKATTR_MEMBER_TIMEOUT", timeout, parse_duration)? {
        options = options.member_timeout(timeout);
    }
    let delay = "a duration such as 60s";
    if let Some(delay) = parse(&read, "LOCKATTR_RESTART_DELAY", delay, parse_duration)? {
        options = options.restart_delay(delay);
    }
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
