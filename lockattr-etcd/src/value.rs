//! What stands in a name: for people, and for the modes of later versions.
//!
//! `1:x:<since>:<who>`: the version of the format, the mode (exclusive), since when it has the key in ms, and who it is.
//! Of one that came after others, `w` precedes since when it waits, until its first renewal.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) fn of_holder(who: &str) -> Vec<u8> {
    write("", who)
}

pub(crate) fn of_waiter(who: &str) -> Vec<u8> {
    write("w", who)
}

fn write(mark: &str, who: &str) -> Vec<u8> {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    format!("1:x:{mark}{since}:{who}").into_bytes()
}

/// What a value says. Nothing, if it has another format.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// `None` if it is not known since when it has the key, also of a waiter.
    pub(crate) has_since: Option<SystemTime>,
    pub(crate) waits_since: Option<SystemTime>,
    pub(crate) who: Option<Arc<str>>,
}

pub(crate) fn read(value: &[u8]) -> Told {
    let parsed = || {
        let text = std::str::from_utf8(value).ok()?;
        let (since, who) = text.strip_prefix("1:x:")?.split_once(':')?;
        let (waits, since) = match since.strip_prefix('w') {
            Some(since) => (true, since),
            None => (false, since),
        };
        let since = UNIX_EPOCH.checked_add(Duration::from_millis(since.parse().ok()?));
        Some(Told {
            has_since: since.filter(|_| !waits),
            waits_since: since.filter(|_| waits),
            who: Some(who.into()),
        })
    };
    parsed().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_format_tells_nothing() {
        let since = Some(UNIX_EPOCH + Duration::from_millis(1500));
        let told = read(b"1:x:1500:web-1/7 src/main.rs:12");
        assert_eq!(told.who.as_deref(), Some("web-1/7 src/main.rs:12"));
        assert_eq!((told.has_since, told.waits_since), (since, None));
        let told = read(b"1:x:w1500:web-1/7 src/main.rs:12");
        assert_eq!((told.has_since, told.waits_since), (None, since));
        for other in [&b"2:x:1500:web"[..], b"1:x:web", b"1:x:w:web", b"\xff", b""] {
            assert_eq!(read(other), Told::default());
        }
        let told = read(&of_waiter("h/1 f"));
        assert!(told.waits_since.is_some() && told.who.as_deref() == Some("h/1 f"));
        assert!(read(&of_holder("h/1 f")).has_since.is_some());
    }
}
