//! A second parser of durations, for tests to compare with: a regular language, and exact sums.

use std::time::Duration;

const SECOND: u128 = 1_000_000_000;

/// Returns the duration; `None` if the text is not one, or has a number of more than 12 digits.
pub(crate) fn read(text: &str) -> Option<Duration> {
    let mut rest = text.trim_start();
    let mut nanos = 0;
    while !rest.is_empty() {
        let (whole, after) = number(rest)?;
        let mut value = whole.parse::<u128>().ok()?;
        let mut scale = 1;
        let mut after = after.trim_start();
        if let Some(fraction) = after.strip_prefix('.') {
            let (digits, behind) = number(fraction)?;
            scale = 10_u128.pow(u32::try_from(digits.len()).ok()?);
            value = value * scale + digits.parse::<u128>().ok()?;
            after = behind.trim_start();
        }
        let end = after
            .find(|c: char| !c.is_alphabetic())
            .unwrap_or(after.len());
        let value = value.checked_mul(unit(&after[..end])?)?;
        if value % scale != 0 {
            return None;
        }
        nanos += value / scale;
        rest = after[end..].trim_start();
    }
    let seconds = u64::try_from(nanos / SECOND).ok()?;
    let nanos = u32::try_from(nanos % SECOND).ok()?;
    (!text.trim().is_empty()).then(|| Duration::new(seconds, nanos))
}

fn number(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    (1..=12).contains(&end).then(|| text.split_at(end))
}

fn unit(name: &str) -> Option<u128> {
    Some(match name {
        "ns" | "nsec" | "nanos" => 1,
        "us" | "µs" | "usec" => 1_000,
        "ms" | "msec" | "millis" => 1_000_000,
        "s" | "sec" | "secs" | "second" | "seconds" => SECOND,
        "m" | "min" | "mins" | "minute" | "minutes" => 60 * SECOND,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600 * SECOND,
        "d" | "day" | "days" => 86_400 * SECOND,
        "w" | "wk" | "wks" | "week" | "weeks" => 604_800 * SECOND,
        _ => return None,
    })
}
