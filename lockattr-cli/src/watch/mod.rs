//! `lockattr watch`: who holds which key, again and again.

mod draw;
mod history;
mod live;
mod order;
mod refresh;
mod screen;
mod view;

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use clap::Args;
use lockattr::LockPool;
use tokio::time::sleep;

use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::{Failure, say};
use crate::listing::Listing;
use crate::output::Output;
use crate::span::{parse_span, short};
use history::History;
use order::Order;
use refresh::{Line, list};

/// A refresh asks for all locks.
const SHORTEST: Duration = Duration::from_millis(100);

/// The options of `watch`.
#[derive(Args)]
pub(crate) struct Watch {
    /// The pause between two refreshes; after one that took longer, as long as that
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_interval)]
    interval: Duration,
    /// The order at the start; letters change it
    #[arg(long, value_name = "BY", default_value = "grants")]
    sort: Order,
    /// How many keys a line of JSON has, the first in this order
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    listing: Listing,
}

impl Watch {
    pub(crate) async fn execute(
        self,
        connection: &Connection,
        output: &mut Output,
        verbose: u8,
    ) -> Result<Exit, Failure> {
        if output.is_json() {
            let pool = connection.open().await?;
            return self.print(&pool, output).await;
        }
        if !io::stdout().is_terminal() {
            let reason = "`watch` draws on a terminal, and its output is none; `lockattr ls` lists once, and \
                          `watch --json` prints a line for each refresh";
            return Err(Failure::usage(reason));
        }
        if verbose > 0 && io::stderr().is_terminal() {
            let reason = "events would be written over the view; leave -v out, or send standard error to a file";
            return Err(Failure::usage(reason));
        }
        let pool = connection.open().await?;
        live::show(&pool, &self).await
    }

    /// Prints a line for each refresh, until a signal ends the program or nobody reads.
    async fn print(&self, pool: &LockPool, output: &mut Output) -> Result<Exit, Failure> {
        let mut history = History::default();
        let mut has_worked = false;
        loop {
            let mut pause = self.interval;
            match list(pool, &self.listing).await {
                Ok(listed) => {
                    has_worked = true;
                    pause = self.pause_after(listed.took);
                    let refresh = history.note(Instant::now(), listed);
                    output.object(&Line::of(&refresh, self.sort, self.limit))?;
                }
                Err(failure) if !has_worked => return Err(failure),
                Err(failure) => say(&failure.line()),
            }
            sleep(pause).await;
        }
    }

    /// The server has half of the time for others.
    fn pause_after(&self, took: Duration) -> Duration {
        self.interval.max(took)
    }
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    let interval = parse_span(text)?;
    if interval < SHORTEST {
        return Err(format!(
            "a refresh asks for all locks; {} is the shortest pause",
            short(SHORTEST)
        ));
    }
    Ok(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_not_asked_without_a_pause() {
        assert_eq!(parse_interval("100ms"), Ok(SHORTEST));
        let refused = parse_interval("99ms").unwrap_err();
        assert!(refused.contains("100ms"), "{refused}");
        parse_interval("soon").unwrap_err();
    }
}
