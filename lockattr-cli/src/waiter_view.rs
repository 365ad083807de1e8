//! A waiter, as it is shown.

use lockattr::{Mode, Waiter};
use serde::Serialize;

use crate::mode_name;
use crate::span::date;
use crate::who::Who;

/// The fields of a waiter in JSON; they are documented in the crate's README.
#[derive(Debug, Serialize)]
pub(crate) struct WaiterView {
    /// `exclusive`, `shared` or `permits`; `null` if it is not known, as the other fields.
    mode: Option<&'static str>,
    permits: Option<u32>,
    weight: Option<u32>,
    #[serde(flatten)]
    pub(crate) who: Who,
    /// In RFC 3339.
    since: Option<String>,
    #[serde(skip)]
    pub(crate) mode_description: Option<String>,
}

impl From<&Waiter> for WaiterView {
    fn from(waiter: &Waiter) -> Self {
        let (permits, weight) = match waiter.mode {
            Some(Mode::Permits {
                permits, weight, ..
            }) => (Some(permits), Some(weight)),
            _ => (None, None),
        };
        Self {
            mode: waiter.mode.map(mode_name::name),
            permits,
            weight,
            who: Who::read(&waiter.who),
            since: waiter.since.and_then(date),
            mode_description: waiter.mode.map(mode_name::description),
        }
    }
}
