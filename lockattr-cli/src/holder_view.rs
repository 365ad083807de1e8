//! A holder, as it is shown.

use std::time::{Duration, SystemTime};

use lockattr::{Holder, Mode};
use serde::Serialize;

use crate::mode_name;
use crate::span::date;
use crate::who::Who;

/// The fields of a holder in JSON; they are documented in the crate's README.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct HolderView {
    pub(crate) key: String,
    /// `exclusive`, `shared` or `permits`.
    mode: &'static str,
    pub(crate) permits: Option<u32>,
    pub(crate) weight: Option<u32>,
    #[serde(flatten)]
    pub(crate) who: Who,
    pub(crate) token: Option<u64>,
    /// In RFC 3339.
    pub(crate) since: Option<String>,
    /// `null` if it is not known, or does not end.
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
        let (permits, weight) = match holder.mode {
            Mode::Permits {
                permits, weight, ..
            } => (Some(permits), Some(weight)),
            _ => (None, None),
        };
        let ends = holder.ttl_left < Duration::MAX;
        let millis = u64::try_from(holder.ttl_left.as_millis()).unwrap_or(u64::MAX);
        Self {
            key: holder.key.to_string(),
            mode: mode_name::name(holder.mode),
            permits,
            weight,
            who: Who::read(&holder.who),
            token: holder.fencing_token,
            since: holder.since.and_then(date),
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
    /// Returns for how long the key is held already.
    pub(crate) fn held_for(&self) -> Option<Duration> {
        // A holder whose clock is ahead has it since now.
        self.started
            .map(|started| started.elapsed().unwrap_or_default())
    }

    /// Returns `None` if that is not known, or if it does not end by itself.
    pub(crate) fn ends_in(&self) -> Option<Duration> {
        Some(self.ttl_left).filter(|ttl| *ttl < Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
