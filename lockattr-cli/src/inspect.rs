//! `lockattr inspect`: all that is known of one key.

use std::time::Duration;

use clap::Args;
use lockattr::Holder;
use serde::Serialize;

use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::holder_view::HolderView;
use crate::output::Output;
use crate::plain::plain;
use crate::span::short;

/// The options of `inspect`.
#[derive(Args)]
pub(crate) struct Inspect {
    /// The key, as the function under the attribute makes it
    key: String,
}

#[derive(Serialize)]
struct Inspected<'a> {
    key: &'a str,
    held: bool,
    waiters: usize,
    holders: &'a [HolderView],
}

impl Inspect {
    pub(crate) async fn execute(
        self,
        connection: &Connection,
        output: &mut Output,
    ) -> Result<Exit, Failure> {
        let pool = connection.open().await?;
        let holders = pool.holders_of(self.key.clone()).await?;
        let holders = views(&holders);
        if output.is_json() {
            output.object(&Inspected {
                key: &self.key,
                held: !holders.is_empty(),
                waiters: waiters(&holders),
                holders: &holders,
            })?;
        } else {
            output.line(describe(&self.key, &holders))?;
        }
        Ok(if holders.is_empty() {
            Exit::NOTHING
        } else {
            Exit::SUCCESS
        })
    }
}

pub(crate) fn views(holders: &[Holder]) -> Vec<HolderView> {
    holders.iter().map(HolderView::from).collect()
}

fn waiters(holders: &[HolderView]) -> usize {
    holders.first().map_or(0, |holder| holder.waiters)
}

/// Describes a key and its holders for people.
pub(crate) fn describe(key: &str, holders: &[HolderView]) -> String {
    let bold = anstyle::Style::new().bold();
    let mut text = format!("{bold}{}{bold:#}: ", plain(key));
    if holders.is_empty() {
        return text + "free";
    }
    let plural = if holders.len() == 1 { "" } else { "s" };
    text += &format!(
        "{} holder{plural}, {} waiting",
        holders.len(),
        waiters(holders)
    );
    for holder in holders {
        text += &describe_one(holder);
    }
    text
}

fn describe_one(view: &HolderView) -> String {
    let unknown = || "not known".to_owned();
    let function = view.function.clone().unwrap_or_else(unknown);
    let token = view.token.map_or_else(unknown, |token| token.to_string());
    let since = view.since.clone().map_or_else(unknown, |since| {
        let held = view.held_for().unwrap_or_default();
        format!("{since}, for {}", short(held))
    });
    let ttl = if view.ttl_left < Duration::MAX {
        short(view.ttl_left)
    } else {
        "it does not end by itself".to_owned()
    };
    let state = if view.finished {
        "finished; the key is kept for its min_hold"
    } else {
        "running"
    };
    let place = match view.place() {
        place if place == "-" => unknown(),
        place => place,
    };
    let lines = [
        ("- holder", place),
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
