//! Durations in attributes: `"250ms"`, `"10s"`, `"1m30s"`.

use std::time::Duration;

use humantime::DurationError;
use syn::{Error, LitStr, Result};

const MIN_TTL: Duration = Duration::from_millis(50);
const MAX_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// Parses a ttl: whole milliseconds, because lock services count in these, within 50ms..=24h.
pub(crate) fn ttl(literal: &LitStr) -> Result<Duration> {
    let ttl = parse(literal)?;
    let problem = if ttl.is_zero() {
        "a ttl of zero is a lease that is over before it begins; write how long others wait after a crash, \"10s\""
    } else if ttl < MIN_TTL {
        "a ttl below 50ms can end before the answer of the lock service arrives; write at least \"50ms\""
    } else if ttl > MAX_TTL {
        "a ttl above 24h locks everyone out for that long after a crash; write a short one, renewal \
         keeps the lease while the body runs"
    } else if ttl.subsec_nanos() % 1_000_000 != 0 {
        "a ttl is counted in whole milliseconds"
    } else {
        return Ok(ttl);
    };
    Err(Error::new(literal.span(), problem))
}

/// Parses a limit on how long the lease is kept.
pub(crate) fn max_hold(literal: &LitStr) -> Result<Duration> {
    let max_hold = parse(literal)?;
    if max_hold.is_zero() {
        return Err(Error::new(
            literal.span(),
            "a `max_hold` of zero leaves the body no time to run",
        ));
    }
    Ok(max_hold)
}

/// Parses how long other calls are kept out at least.
pub(crate) fn min_hold(literal: &LitStr) -> Result<Duration> {
    let min_hold = parse(literal)?;
    if min_hold.is_zero() {
        return Err(Error::new(
            literal.span(),
            "a `min_hold` of zero keeps nobody out; drop it, or write how long, \"30s\"",
        ));
    }
    Ok(min_hold)
}

/// Parses how long to queue: a duration, zero to try once, or `None` for no limit.
pub(crate) fn wait(literal: &LitStr) -> Result<Option<Duration>> {
    if literal.value().trim() == "forever" {
        return Ok(None);
    }
    parse(literal).map(Some)
}

fn parse(literal: &LitStr) -> Result<Duration> {
    let text = literal.value();
    check_units(&text)
        .and_then(|()| humantime::parse_duration(&text).map_err(|error| explain(&text, &error)))
        .map_err(|message| Error::new(literal.span(), message))
}

/// Refuses texts that humantime accepts with an unexpected meaning.
fn check_units(text: &str) -> std::result::Result<(), String> {
    // humantime panics when a sum is just above the largest number of seconds that it can count.
    let digits = text.split(|c: char| !c.is_ascii_digit()).map(str::len);
    if text.len() > 64 || digits.max() > Some(12) {
        return Err(explain(text, &DurationError::NumberOverflow));
    }
    let trimmed = text.trim();
    if !trimmed.is_empty() && trimmed.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!(
            "`{trimmed}` has no unit; write \"{trimmed}s\" for seconds or \"{trimmed}ms\" for milliseconds"
        ));
    }
    let mut words = text.split_whitespace().peekable();
    while let (Some(word), next) = (words.next(), words.peek()) {
        // humantime reads "1 30s" as 130 seconds.
        if word.ends_with(|c: char| c.is_ascii_digit() || c == '.')
            && next.is_some_and(|next| next.starts_with(|c: char| c.is_ascii_digit()))
        {
            return Err(format!(
                "`{word}` has no unit; write a duration such as \"500ms\", \"10s\" or \"1m30s\""
            ));
        }
    }
    for unit in text.split(|c: char| !c.is_alphabetic()) {
        match unit {
            "M" => return Err("`M` is a month; write `m` for minutes, \"5m\"".to_owned()),
            "month" | "months" | "year" | "years" | "yr" | "yrs" | "y" => {
                return Err(format!(
                    "`{unit}` has no fixed length; write days or less, \"30d\""
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

fn explain(text: &str, error: &DurationError) -> String {
    const EXAMPLES: &str = "write a duration such as \"500ms\", \"10s\" or \"1m30s\"";
    match error {
        DurationError::Empty => format!("an empty duration; {EXAMPLES}"),
        DurationError::UnknownUnit { unit, value, .. } if unit.is_empty() => {
            format!("`{value}` has no unit; {EXAMPLES}")
        }
        DurationError::UnknownUnit { unit, .. } => {
            format!("`{unit}` is no unit of time; use `ms`, `s`, `m` or `h`")
        }
        DurationError::NumberOverflow => format!("`{text}` is too long or too precise; {EXAMPLES}"),
        _ => format!("`{text}` is no duration; {EXAMPLES}"),
    }
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests {
    use proc_macro2::Span;

    use super::*;

    fn literal(text: &str) -> LitStr {
        LitStr::new(text, Span::call_site())
    }

    fn refusal<T: std::fmt::Debug>(result: Result<T>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn durations_are_read() {
        for (text, millis) in [
            ("50ms", 50),
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("1h 5m", 3_900_000),
            ("1.5s", 1_500),
            ("24h", 86_400_000),
        ] {
            assert_eq!(
                ttl(&literal(text)).unwrap(),
                Duration::from_millis(millis),
                "{text}"
            );
        }
    }

    #[test]
    fn wait_may_be_zero_and_forever() {
        assert_eq!(wait(&literal("0s")).unwrap(), Some(Duration::ZERO));
        assert_eq!(wait(&literal("forever")).unwrap(), None);
        assert_eq!(wait(&literal("2s")).unwrap(), Some(Duration::from_secs(2)));
    }

    #[test]
    fn invalid_durations_are_explained() {
        for (text, part) in [
            ("", "empty"),
            ("10", "no unit"),
            ("1 30s", "no unit"),
            ("1m30", "`30` has no unit"),
            ("5M", "`M` is a month"),
            ("2 months", "no fixed length"),
            ("1y", "no fixed length"),
            ("10 parsecs", "`parsecs` is no unit"),
            ("-5s", "no duration"),
            ("s", "no duration"),
            ("99999999999999999999s", "too long"),
            ("1000000000000ms", "too long"),
            ("18446744073709551615s1000ms", "too long"),
            ("5124095576030431h 15s 1000ms", "too long"),
        ] {
            let message = refusal(parse(&literal(text)));
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn the_longest_texts_and_numbers_are_read() {
        let text = |last| "1s ".repeat(20) + last;
        let (longest, over) = (text("100s"), text("1000s"));
        assert_eq!(longest.len(), 64);
        let read = parse(&literal(&longest)).unwrap();
        assert_eq!(read, Duration::from_secs(120));
        assert!(refusal(parse(&literal(&over))).contains("too long"));
        assert!(parse(&literal("999999999999ms")).is_ok());
    }

    #[test]
    fn a_ttl_is_bounded_and_in_whole_milliseconds() {
        for (text, part) in [
            ("0s", "zero"),
            ("49ms", "below 50ms"),
            ("24h1ms", "above 24h"),
            ("100ms1us", "whole milliseconds"),
            ("0.5ms", "below 50ms"),
        ] {
            let message = refusal(ttl(&literal(text)));
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn holds_are_not_zero() {
        assert!(refusal(max_hold(&literal("0ms"))).contains("zero"));
        assert!(refusal(min_hold(&literal("0s"))).contains("zero"));
        assert_eq!(
            max_hold(&literal("2d")).unwrap(),
            Duration::from_secs(172_800)
        );
    }

    proptest::proptest! {
        /// Another reader agrees on every duration, and nothing panics.
        #[test]
        fn durations_are_read_exactly(
            text in r"( ?[0-9]{1,14}(\.[0-9]{1,2})? ?(ns|us|ms|s|sec|m|min|h|days|w|y|x)?){0,4}|\PC{0,12}",
        ) {
            let expected = reference::read(&text);
            if let Ok(read) = parse(&literal(&text)) {
                assert_eq!(Some(read), expected, "{text:?}");
            }
            if let Ok(ttl) = ttl(&literal(&text)) {
                assert!((MIN_TTL..=MAX_TTL).contains(&ttl) && ttl.subsec_nanos() % 1_000_000 == 0);
            }
        }
    }
}
