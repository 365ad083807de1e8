//! `lockattr inspect`: all that is known of one key.

mod description;
mod waiter_table;

use clap::Args;
use lockattr::Holder;
use serde::Serialize;

use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::holder_view::HolderView;
use crate::output::Output;
use crate::waiter_view::WaiterView;
pub(crate) use description::describe;

/// The options of `inspect`.
#[derive(Args)]
pub(crate) struct Inspect {
    /// The key, as the function under the attribute makes it
    key: String,
    /// How many waiters are shown, the first of the queue; 10000 at most
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    limit: usize,
}

#[derive(Serialize)]
struct Inspected<'a> {
    key: &'a str,
    held: bool,
    waiters: usize,
    holders: &'a [HolderView],
    /// The first of the waiters.
    queue: &'a [WaiterView],
}

impl Inspect {
    pub(crate) async fn execute(
        self,
        connection: &Connection,
        output: &mut Output,
    ) -> Result<Exit, Failure> {
        let pool = connection.open().await?;
        let holders = views(&pool.holders_of(self.key.clone()).await?);
        let queue = pool.queue(self.key.clone(), self.limit).await?;
        let first: Vec<WaiterView> = queue.waiters.iter().map(WaiterView::from).collect();
        if output.is_json() {
            output.object(&Inspected {
                key: &self.key,
                held: !holders.is_empty(),
                waiters: queue.len(),
                holders: &holders,
                queue: &first,
            })?;
        } else {
            output.line(describe(&self.key, &holders, queue.len()))?;
            if !first.is_empty() {
                output.line(format_args!("\n{}", waiter_table::of(&first)))?;
            }
            if queue.more > 0 {
                output.line(format_args!("and {} more; see --limit", queue.more))?;
            }
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
