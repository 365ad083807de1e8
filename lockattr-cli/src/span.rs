//! Times, read from and written for people.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lockattr::Wait;

/// humantime panics if a sum just passes the last second that it can count, which no short text reaches.
const LONGEST: usize = 24;

/// Reads a duration such as `30s` or `1m 5s`.
pub(crate) fn parse_span(text: &str) -> Result<Duration, String> {
    let short = Some(text).filter(|text| text.len() <= LONGEST);
    let span = short.and_then(|text| humantime::parse_duration(text).ok());
    span.ok_or_else(|| "expected a duration such as 30s".to_owned())
}

/// Reads a duration, or `forever`.
pub(crate) fn parse_wait(text: &str) -> Result<Wait, String> {
    if text == "forever" {
        return Ok(Wait::Forever);
    }
    let wait = parse_span(text).map(Wait::For);
    wait.map_err(|_| "expected a duration such as 10s, or `forever`".to_owned())
}

/// Writes a duration without the digits that nobody reads.
pub(crate) fn short(span: Duration) -> String {
    let span = if span < Duration::from_secs(1) {
        Duration::from_millis(u64::from(span.subsec_millis()))
    } else {
        Duration::from_secs(span.as_secs())
    };
    humantime::format_duration(span).to_string()
}

/// Writes a point in time in RFC 3339. `None` for one that nobody means: other programs can write what they like
/// under a lock's name.
pub(crate) fn date(time: SystemTime) -> Option<String> {
    // humantime panics before 1970, and fails after 9999.
    time.duration_since(UNIX_EPOCH).ok()?;
    let mut text = String::new();
    write!(text, "{}", humantime::format_rfc3339_millis(time)).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        assert_eq!(parse_span("1m 5s"), Ok(Duration::from_secs(65)));
        assert_eq!(parse_wait("forever"), Ok(Wait::Forever));
        assert_eq!(parse_wait("0s"), Ok(Wait::For(Duration::ZERO)));
        for wrong in ["", "30", "s", "18446744073709551615s1000ms"] {
            parse_span(wrong).unwrap_err();
            parse_wait(wrong).unwrap_err();
        }
    }

    #[test]
    fn times_that_nobody_means_are_left_out() {
        let moment = Duration::from_millis(1500);
        let text = date(UNIX_EPOCH + moment);
        assert_eq!(text.as_deref(), Some("1970-01-01T00:00:01.500Z"));
        assert_eq!(date(UNIX_EPOCH - moment), None);
        let far = Duration::from_secs(10_000 * 366 * 86_400);
        assert_eq!(date(UNIX_EPOCH + far), None);
    }

    #[test]
    fn durations_are_written_short() {
        assert_eq!(short(Duration::from_micros(1_500_900)), "1s");
        assert_eq!(short(Duration::from_micros(12_345)), "12ms");
        assert_eq!(short(Duration::from_secs(3 * 3600 + 62)), "3h 1m 2s");
    }
}
