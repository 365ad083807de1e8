//! `lockattr ls`: who holds which key.

mod filter;
mod sort;
mod table;

use clap::Args;

use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::holder_view::HolderView;
use crate::output::Output;
use filter::Filter;
use sort::Sort;

/// The options of `ls`.
#[derive(Args)]
pub(crate) struct Ls {
    /// Lists only the keys that begin with this text
    #[arg(value_name = "PREFIX", default_value = "", hide_default_value = true)]
    beginning: String,
    /// The order; without it, tables are sorted by key, and JSON comes as the server tells it
    #[arg(long, value_name = "BY")]
    sort: Option<Sort>,
    #[command(flatten)]
    filter: Filter,
}

impl Ls {
    pub(crate) async fn execute(
        self,
        connection: &Connection,
        output: &mut Output,
    ) -> Result<Exit, Failure> {
        let pool = connection.open().await?;
        let mut pages = pool.holders(self.beginning.as_str());
        let mut found = Vec::new();
        while let Some(page) = pages.next_page().await? {
            let views = page.iter().map(HolderView::from);
            let views = views.filter(|view| self.filter.accepts(view));
            if output.is_json() && self.sort.is_none() {
                // What is shown at once needs no memory, however many there are.
                for view in views {
                    output.object(&view)?;
                }
            } else {
                found.extend(views);
            }
        }
        self.sort.unwrap_or_default().sort(&mut found);
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
