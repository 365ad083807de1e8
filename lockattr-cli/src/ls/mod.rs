//! `lockattr ls`: who holds which key.

mod table;

use clap::Args;

use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::listing::Listing;
use crate::output::Output;
use crate::sort::Sort;

/// The options of `ls`.
#[derive(Args)]
pub(crate) struct Ls {
    /// The order; without it, tables are sorted by key, and JSON comes as the server tells it
    #[arg(long, value_name = "BY")]
    sort: Option<Sort>,
    #[command(flatten)]
    listing: Listing,
}

impl Ls {
    pub(crate) async fn execute(
        self,
        connection: &Connection,
        output: &mut Output,
    ) -> Result<Exit, Failure> {
        let pool = connection.open().await?;
        let mut found = Vec::new();
        let listing = self.listing.for_each_page(&pool, |mut views| {
            if output.is_json() && self.sort.is_none() {
                // What is shown at once needs no memory, however many there are.
                return views.iter().try_for_each(|view| output.object(view));
            }
            found.append(&mut views);
            Ok(())
        });
        listing.await?;
        self.sort.unwrap_or_default().sort(&mut found, |view| view);
        if output.is_json() {
            for view in &found {
                output.object(view)?;
            }
        } else if !found.is_empty() {
            output.line(table::of(&found))?;
        }
        Ok(Exit::SUCCESS)
    }
}
