//! A key and its holders, for people.

use crate::holder_view::HolderView;
use crate::plain::plain;
use crate::span::short;

/// Describes who has a key; the waiters are counted.
pub(crate) fn describe(key: &str, holders: &[HolderView], waiters: usize) -> String {
    let bold = anstyle::Style::new().bold();
    let mut text = format!("{bold}{}{bold:#}: ", plain(key));
    text += &match holders.len() {
        0 => "free".to_owned(),
        1 => "1 holder".to_owned(),
        several => format!("{several} holders"),
    };
    if waiters > 0 || !holders.is_empty() {
        text += &format!(", {waiters} waiting");
    }
    for holder in holders {
        text += &describe_one(holder);
    }
    text
}

fn describe_one(view: &HolderView) -> String {
    let unknown = || "not known".to_owned();
    let function = view.who.function.clone().unwrap_or_else(unknown);
    let token = view.token.map_or_else(unknown, |token| token.to_string());
    let since = view.since.clone().map_or_else(unknown, |since| {
        let held = view.held_for().unwrap_or_default();
        format!("{since}, for {}", short(held))
    });
    let ttl = match (view.ends_in(), view.token) {
        (Some(left), _) => short(left),
        (None, Some(_)) => unknown(),
        // A foreign value.
        (None, None) => "it does not end by itself".to_owned(),
    };
    let state = if view.finished {
        "finished; the key is kept for its min_hold"
    } else {
        "running"
    };
    let process = match view.who.process() {
        process if process == "-" => unknown(),
        process => process,
    };
    let lines = [
        ("- holder", process),
        ("  function", function),
        ("  mode", view.mode_description.clone()),
        ("  token", token),
        ("  since", since),
        ("  ttl left", ttl),
        ("  state", state.to_owned()),
    ];
    let line = |(name, value): (&str, String)| format!("\n  {name:<11} {}", plain(&value));
    lines.map(line).concat()
}
