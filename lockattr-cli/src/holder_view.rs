//! A holder, as it is shown.

use std::time::{Duration, SystemTime};

use lockattr::{Holder, Mode};
use serde::Serialize;

use crate::mode_name;

/// The fields of a holder in JSON; they are documented in the crate's README.
#[derive(Debug, Serialize)]
pub(crate) struct HolderView {
    pub(crate) key: String,
    /// `exclusive`, `shared` or `permits`.
    mode: &'static str,
    permits: Option<u32>,
    weight: Option<u32>,
    pub(crate) host: Option<String>,
    pub(crate) pid: Option<u32>,
    pub(crate) function: Option<String>,
    pub(crate) token: Option<u64>,
    /// In RFC 3339.
    pub(crate) since: Option<String>,
    /// `null` for a value that does not end.
    ttl_left_ms: Option<u64>,
    pub(crate) finished: bool,
    pub(crate) waiters: usize,
    #[serde(skip)]
    pub(crate) started: Option<SystemTime>,
    #[serde(skip)]
    pub(crate) ttl_left: Duration,
    #[serde(skip)]
    pub(crate) mode_description: String,
}

impl From<&Holder> for HolderView {
    fn from(holder: &Holder) -> Self {
        let (host, pid, function) = parts(&holder.who);
        let (permits, weight) = match holder.mode {
            Mode::Permits {
                permits, weight, ..
            } => (Some(permits), Some(weight)),
            _ => (None, None),
        };
        let ends = holder.ttl_left < Duration::MAX;
        let millis = u64::try_from(holder.ttl_left.as_millis()).unwrap_or(u64::MAX);
        let since = holder.since.map(humantime::format_rfc3339_millis);
        Self {
            key: holder.key.to_string(),
            mode: mode_name::name(holder.mode),
            permits,
            weight,
            host,
            pid,
            function,
            token: holder.fencing_token,
            since: since.map(|since| since.to_string()),
            ttl_left_ms: ends.then_some(millis),
            finished: holder.has_finished,
            waiters: holder.waiters,
            started: holder.since,
            ttl_left: holder.ttl_left,
            mode_description: mode_name::description(holder.mode),
        }
    }
}

impl HolderView {
    /// Returns host and process, `-` if they are not known.
    pub(crate) fn place(&self) -> String {
        match (&self.host, self.pid) {
            (Some(host), Some(pid)) => format!("{host}/{pid}"),
            _ => "-".to_owned(),
        }
    }

    /// Returns for how long the key is held already.
    pub(crate) fn held_for(&self) -> Option<Duration> {
        // A holder whose clock is ahead has it since now.
        self.started
            .map(|started| started.elapsed().unwrap_or_default())
    }
}

/// Takes `host/pid function` apart. What is not of this form is a function, as `memory://` names it.
fn parts(who: &str) -> (Option<String>, Option<u32>, Option<String>) {
    let owned = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let (place, function) = who.split_once(' ').unwrap_or((who, ""));
    let place = place.rsplit_once('/');
    let place = place.and_then(|(host, pid)| Some((host, pid.parse().ok()?)));
    match place {
        Some((host, pid)) => (owned(host), Some(pid), owned(function)),
        None => (None, None, owned(who)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_it_is_taken_apart() {
        let known = |host: &str, pid, function: &str| {
            let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            (text(host), Some(pid), text(function))
        };
        assert_eq!(parts("web-1/77 shop::pay"), known("web-1", 77, "shop::pay"));
        assert_eq!(
            parts("h/1 a place/with spaces.rs:7"),
            known("h", 1, "a place/with spaces.rs:7")
        );
        assert_eq!(parts("/77 f"), known("", 77, "f"));
        assert_eq!(parts(""), (None, None, None));
        let function = Some("src/main.rs:7".to_owned());
        assert_eq!(parts("src/main.rs:7"), (None, None, function));
    }

    #[test]
    fn a_value_that_does_not_end_has_no_ttl() {
        let view = HolderView::from(&Holder::new("k", "", Duration::MAX));
        let json = serde_json::to_value(&view).unwrap();
        assert!(
            json["ttl_left_ms"].is_null() && json["host"].is_null(),
            "{json}"
        );
        let view = HolderView::from(&Holder::new("k", "", Duration::from_millis(1500)));
        assert_eq!(serde_json::to_value(&view).unwrap()["ttl_left_ms"], 1500);
    }
}
