//! The part of a history that shows what went wrong.

use std::fmt::Write as _;

use super::calls::Call;
use super::{Event, Record};

/// Returns the records of some calls and of the disturbances of their processes, one a line, with
/// milliseconds since the first of them.
pub(super) fn of_calls(records: &[Record], calls: &[&Call]) -> String {
    let concerns = |record: &&Record| {
        calls
            .iter()
            .any(|call| (record.process, record.call) == (call.process, call.id))
    };
    let from = records.iter().find(concerns).map_or(0, |record| record.at);
    let to = records.iter().rfind(concerns).map_or(0, |record| record.at);
    let is_about_them = |record: &&Record| {
        let of_process = calls.iter().any(|call| call.process == record.process);
        let is_fault = matches!(record.event, Event::Fault(_));
        let is_elsewhere = matches!(record.event, Event::Queued { key } if calls[0].key != key);
        let in_time = (from..=to).contains(&record.at);
        concerns(record) || in_time && record.call == 0 && !is_elsewhere && (of_process || is_fault)
    };
    let mut text = String::new();
    for record in records.iter().filter(is_about_them) {
        let place = match (&record.event, record.call) {
            (Event::Fault(_), _) => String::new(),
            (_, 0) => format!("process {}", record.process),
            (_, call) => format!("process {} call {call}", record.process),
        };
        writeln!(
            text,
            "{:>12.3} ms  {place:<22} {}",
            millis(record.at, from),
            said(&record.event, from)
        )
        .expect("a String takes everything");
    }
    text
}

fn said(event: &Event, from: u64) -> String {
    match event {
        Event::Requested { key, wait, mode } => {
            format!("requested key {key}, {mode}, for {wait:?}")
        }
        Event::Queued { key } => format!("queued for key {key}"),
        Event::Granted { token, valid_until } => format!(
            "granted with token {token}, valid until {:.3} ms",
            millis(*valid_until, from)
        ),
        Event::Seen { valid_until } => {
            format!("still valid, until {:.3} ms", millis(*valid_until, from))
        }
        event => event.to_string(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn millis(at: u64, from: u64) -> f64 {
    at.saturating_sub(from) as f64 / 1e6
}
