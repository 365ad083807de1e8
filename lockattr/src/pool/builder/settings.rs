//! The settings of a pool, from a program's configuration.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::LockPoolBuilder;
use super::variables::{parse_duration, parse_wait};
use crate::spec::{Release, Wait};

/// The settings of a pool as a part of a program's own configuration, in any format of `serde`.
///
/// Only `url` must be there, and an unknown name is an error. The names are those of the methods of
/// [`LockPoolBuilder`] and, for a Redis or Valkey server, of `RedisOptions`; `ttl`, `wait` and
/// `release` are what calls get that do not set their own. A duration is a text such as `"10s"` or
/// `"1m 30s"`; `wait` can be `"forever"`; `release` is `"await"` or `"background"`.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// #[derive(serde::Deserialize)]
/// struct Config {
///     locks: lockattr::PoolSettings,
/// }
///
/// let config: Config = serde_json::from_str(
///     r#"{ "locks": { "url": "memory://", "ttl": "20s", "wait": "forever" } }"#,
/// )?;
/// let pool = lockattr::LockPoolBuilder::from_settings(config.locks).build().await?;
/// # pool.lock("order:42").await?.release().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolSettings {
    url: String,
    ttl: Option<Span>,
    wait: Option<Patience>,
    release: Option<ReleaseName>,
    connect_timeout: Option<Span>,
    response_timeout: Option<Span>,
    max_in_flight: Option<usize>,
    claim_window: Option<Span>,
    batch_size: Option<u32>,
    batch_time: Option<Span>,
    check_lock_order: Option<bool>,
    #[cfg(feature = "redis")]
    prefix: Option<String>,
    #[cfg(feature = "redis")]
    connections: Option<usize>,
    #[cfg(feature = "redis")]
    strict: Option<bool>,
    #[cfg(feature = "redis")]
    confirm_replicas: Option<u8>,
    #[cfg(feature = "redis")]
    confirm_fsync: Option<bool>,
    #[cfg(feature = "redis")]
    confirm_within: Option<Span>,
    #[cfg(feature = "redis")]
    member_timeout: Option<Span>,
    #[cfg(feature = "redis")]
    restart_delay: Option<Span>,
}

#[derive(Clone, Copy)]
struct Span(Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let span = parse_duration(&text).map(Self);
        span.ok_or_else(|| D::Error::custom("expected a duration such as \"30s\""))
    }
}

#[derive(Clone, Copy)]
struct Patience(Wait);

impl<'de> Deserialize<'de> for Patience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wait = parse_wait(&text).map(Self);
        let expected = "expected a duration such as \"2s\", or \"forever\"";
        wait.ok_or_else(|| D::Error::custom(expected))
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ReleaseName {
    Await,
    Background,
}

impl LockPoolBuilder {
    /// Returns a builder with these settings; those that are not there have their defaults. See
    /// [`PoolSettings`] for an example.
    #[cfg_attr(
        not(feature = "redis"),
        expect(
            clippy::needless_pass_by_value,
            reason = "a server's settings are not used"
        )
    )]
    pub fn from_settings(settings: PoolSettings) -> Self {
        let span = |setting: Option<Span>| setting.map(|Span(span)| span);
        let release = settings.release.map(|name| match name {
            ReleaseName::Await => Release::Await,
            ReleaseName::Background => Release::Background,
        });
        let mut builder = Self::default().url(&settings.url);
        apply!(
            builder,
            span(settings.ttl) => default_ttl,
            settings.wait.map(|Patience(wait)| wait) => default_wait,
            release => default_release,
            span(settings.connect_timeout) => connect_timeout,
            span(settings.response_timeout) => response_timeout,
            settings.max_in_flight => max_in_flight,
            span(settings.claim_window) => claim_window,
            settings.batch_size => batch_size,
            span(settings.batch_time) => batch_time,
            settings.check_lock_order => check_lock_order,
        );
        #[cfg(feature = "redis")]
        {
            let mut options = crate::backend::redis::RedisOptions::new();
            apply!(
                options,
                settings.prefix => prefix,
                settings.connections => connections,
                settings.strict => strict,
                settings.confirm_replicas => confirm_replicas,
                settings.confirm_fsync => confirm_fsync,
                span(settings.confirm_within) => confirm_within,
                span(settings.member_timeout) => member_timeout,
                span(settings.restart_delay) => restart_delay,
            );
            builder = builder.redis(options);
        }
        builder
    }
}

/// Prints no password, as the builder does.
impl fmt::Debug for PoolSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let builder = LockPoolBuilder::from_settings(self.clone());
        f.debug_tuple("PoolSettings").field(&builder).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(text: &str) -> Result<LockPoolBuilder, serde_json::Error> {
        serde_json::from_str(text).map(LockPoolBuilder::from_settings)
    }

    #[test]
    fn all_settings_are_read() {
        let builder = from(
            r#"{
                "url": "memory://", "ttl": "1m 5s", "wait": "forever", "release": "background",
                "connect_timeout": "3s", "response_timeout": "700ms", "max_in_flight": 7,
                "claim_window": "2s", "batch_size": 9, "batch_time": "1ms", "check_lock_order": false
            }"#,
        );
        let builder = builder.unwrap();
        assert_eq!(builder.default_ttl, Duration::from_secs(65));
        assert_eq!(builder.default_wait, Wait::Forever);
        assert_eq!(builder.default_release, Release::Background);
        assert_eq!(builder.connect_timeout, Duration::from_secs(3));
        assert_eq!(builder.response_timeout, Duration::from_millis(700));
        assert_eq!(builder.max_in_flight, 7);
        assert_eq!(builder.claim_window, Some(Duration::from_secs(2)));
        assert_eq!(builder.batch.size, 9);
        assert_eq!(builder.batch.time, Duration::from_millis(1));
        assert!(!builder.checks_lock_order);
    }

    #[cfg(feature = "redis")]
    #[test]
    fn the_settings_of_a_server_are_read() {
        let builder = from(
            r#"{
                "url": "redis://h/", "wait": "2s", "prefix": "shop", "connections": 3, "strict": true,
                "confirm_replicas": 2, "confirm_fsync": true, "confirm_within": "2s",
                "member_timeout": "20ms", "restart_delay": "1m"
            }"#,
        );
        let builder = builder.unwrap();
        assert_eq!(builder.default_wait, Wait::For(Duration::from_secs(2)));
        assert_eq!(builder.redis.prefix, "shop");
        assert!(builder.redis.connections == 3 && builder.redis.strict);
        assert!(builder.redis.confirm_replicas == 2 && builder.redis.confirm_fsync);
        assert_eq!(builder.redis.confirm_within, Duration::from_secs(2));
        assert_eq!(builder.redis.member_timeout, Duration::from_millis(20));
        assert_eq!(builder.redis.restart_delay, Duration::from_secs(60));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_without_its_value() {
        for (text, part) in [
            (r#"{ "ttl": "1s" }"#, "url"),
            (r#"{ "url": "memory://", "tll": "s3cret" }"#, "tll"),
            (r#"{ "url": "memory://", "ttl": "s3cret" }"#, "30s"),
            (r#"{ "url": "memory://", "wait": "s3cret" }"#, "forever"),
            (
                r#"{ "url": "memory://", "ttl": "18446744073709551615s1000ms" }"#,
                "30s",
            ),
        ] {
            let wrong = from(text).unwrap_err().to_string();
            assert!(wrong.contains(part) && !wrong.contains("s3cret"), "{wrong}");
        }
        let settings = r#"{ "url": "redis://user:s3cret@h/" }"#;
        let settings: PoolSettings = serde_json::from_str(settings).unwrap();
        let printed = format!("{settings:?}");
        assert!(
            printed.contains("redis") && !printed.contains("s3cret"),
            "{printed}"
        );
    }
}
