//! Reading locks as they are stored.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::Value;

use super::super::failure;
use super::super::hello::text;
use crate::backend::BackendError;
use crate::holder::Holder;
use crate::key::Key;
use crate::mode::Mode;

/// Reads an answer of inspect.lua.
///
/// # Errors
///
/// When it makes no sense.
pub(super) fn holders(key: &Key, answer: &Value) -> Result<Vec<Holder>, BackendError> {
    read(key, answer).ok_or_else(|| failure::malformed().error)
}

fn read(key: &Key, answer: &Value) -> Option<Vec<Holder>> {
    let Value::Array(parts) = answer else {
        return None;
    };
    let [now, Value::Int(left), Value::Int(waiters), stored @ ..] = &parts[..] else {
        return parts.is_empty().then(Vec::new);
    };
    let now = text(now)?.parse().ok()?;
    let left = u64::try_from(*left).map_or(Duration::MAX, Duration::from_millis);
    let unknown = Holder {
        waiters: usize::try_from(*waiters).ok()?,
        ..Holder::new(key.as_str(), "", left)
    };
    let found = match stored {
        [value] => text(value)
            .and_then(|value| only_holder(value, &unknown))
            .map(|one| vec![one]),
        fields => several_holders(fields, now, &unknown),
    };
    Some(found.unwrap_or_else(|| vec![unknown]))
}

/// `1:owner:token:since:who`
fn only_holder(value: &str, unknown: &Holder) -> Option<Holder> {
    let (format, rest) = value.split_once(':')?;
    let (owner, rest) = rest.split_once(':')?;
    if !matches!(format, "1" | "1w" | "1k") {
        return None;
    }
    let grant = Grant::read(rest)?;
    let mode = Mode::Exclusive;
    Some(grant.of(owner, format == "1k", mode, unknown.clone()))
}

/// `mode` with `s` or `p` and the number of permits, and for each owner `1:owner:` with
/// `end:weight:token:since:who`. `None` if it is no lock.
fn several_holders(fields: &[Value], now: u64, unknown: &Holder) -> Option<Vec<Holder>> {
    let fields: Vec<(&str, &str)> = fields
        .chunks_exact(2)
        .map(|pair| Some((text(&pair[0])?, text(&pair[1])?)))
        .collect::<Option<_>>()?;
    let (_, mode) = fields.iter().find(|(name, _)| *name == "mode")?;
    let mut found = Vec::new();
    for (name, share) in &fields {
        let Some((format, owner)) = name.strip_suffix(':').and_then(|it| it.split_once(':')) else {
            continue;
        };
        let (ends, rest) = share.split_once(':')?;
        let (weight, rest) = rest.split_once(':')?;
        let mode = match mode.strip_prefix('p') {
            None => Mode::Shared,
            Some(permits) => Mode::Permits {
                permits: permits.parse().ok()?,
                weight: weight.parse().ok()?,
            },
        };
        let left = ends.parse::<u64>().ok()?.saturating_sub(now);
        if left > 0 {
            let unknown = Holder {
                ttl_left: Duration::from_millis(left),
                ..unknown.clone()
            };
            found.push(Grant::read(rest)?.of(owner, format == "1k", mode, unknown));
        }
    }
    found.sort_by_key(|holder| holder.fencing_token);
    Some(found)
}

/// `token:since:who`
struct Grant<'a> {
    token: u64,
    since: Option<SystemTime>,
    who: &'a str,
}

impl<'a> Grant<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (token, rest) = text.split_once(':')?;
        let (since, who) = rest.split_once(':')?;
        let since = since.parse().ok().map(Duration::from_millis);
        Some(Self {
            token: token.parse().ok()?,
            since: since.and_then(|since| UNIX_EPOCH.checked_add(since)),
            who,
        })
    }

    fn of(self, owner: &str, has_finished: bool, mode: Mode, unknown: Holder) -> Holder {
        let (pool, _) = owner.split_once('-').unwrap_or((owner, ""));
        Holder {
            who: Arc::from(self.who),
            since: self.since,
            fencing_token: Some(self.token),
            mode,
            has_finished,
            ..unknown
        }
        .of_pool(pool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    /// Stored so, at 1000 ms on the server's clock.
    fn found(left: i64, stored: &[&str]) -> Vec<Holder> {
        let mut parts = vec![bulk("1000"), Value::Int(left), Value::Int(3)];
        parts.extend(stored.iter().map(|text| bulk(text)));
        holders(&Key::new("k").unwrap(), &Value::Array(parts)).unwrap()
    }

    #[test]
    fn the_only_holder_is_read() {
        for (format, has_finished) in [("1", false), ("1w", false), ("1k", true)] {
            let value = format!("{format}:0a0b-1-0:77:500:web/1 shop::pay:fast");
            let [holder] = &found(2500, &[&value])[..] else {
                panic!("{format}");
            };
            assert_eq!(&*holder.who, "web/1 shop::pay:fast");
            assert_eq!(holder.since, Some(UNIX_EPOCH + Duration::from_millis(500)));
            assert_eq!(holder.fencing_token, Some(77));
            assert_eq!(holder.ttl_left, Duration::from_millis(2500));
            assert_eq!((holder.mode, holder.waiters), (Mode::Exclusive, 3));
            assert_eq!(holder.has_finished, has_finished);
            assert!(!format!("{holder:?} {holder}").contains("0a0b"));
        }
    }

    #[test]
    fn holders_that_share_are_read_without_those_that_are_over() {
        let stored = [
            "1:a-2-0:",
            "3000:2:9:500:b",
            "mode",
            "p5",
            "1k:a-1-0:",
            "1001:1:8::a",
            "1:c-0-0:",
            "1000:2:7:0:c",
        ];
        let found = found(2000, &stored);
        let seen: Vec<_> = found
            .iter()
            .map(|it| {
                (
                    it.fencing_token,
                    &*it.who,
                    it.ttl_left.as_millis(),
                    it.has_finished,
                )
            })
            .collect();
        assert_eq!(seen, [(Some(8), "a", 1, true), (Some(9), "b", 2000, false)]);
        let weighs = |weight| Mode::Permits { permits: 5, weight };
        assert_eq!((found[0].mode, found[1].mode), (weighs(1), weighs(2)));
        assert_eq!(found[0].pool, found[1].pool);
        assert_eq!(found[0].since, None);
    }

    #[test]
    fn a_foreign_value_is_held_by_an_unknown_holder() {
        let foreign: [&[&str]; 5] = [
            &[],
            &["2:owner:77:0:who"],
            &["hello"],
            &["name", "value"],
            &["mode", "s", "1:a-1-0:", "soon"],
        ];
        for stored in foreign {
            let [holder] = &found(-1, stored)[..] else {
                panic!("{stored:?}");
            };
            assert_eq!((&*holder.who, holder.fencing_token), ("", None));
            assert_eq!(holder.ttl_left, Duration::MAX);
        }
        let key = Key::new("k").unwrap();
        assert_eq!(holders(&key, &Value::Array(Vec::new())).unwrap(), []);
        for nonsense in [Value::Nil, Value::Array(vec![Value::Int(1)])] {
            assert!(holders(&key, &nonsense).is_err());
        }
    }
}
