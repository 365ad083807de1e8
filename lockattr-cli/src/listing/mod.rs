//! Which holders are shown, and how they come from the lock service.

mod filter;

use clap::Args;
use lockattr::LockPool;

use crate::failure::Failure;
use crate::holder_view::HolderView;
use filter::Filter;

/// The options of what lists holders.
#[derive(Args)]
pub(crate) struct Listing {
    /// Only the keys that begin with this text
    #[arg(value_name = "PREFIX", default_value = "", hide_default_value = true)]
    pub(crate) beginning: String,
    #[command(flatten)]
    filter: Filter,
}

impl Listing {
    /// Asks for all of them page by page, and passes each page on.
    pub(crate) async fn for_each_page(
        &self,
        pool: &LockPool,
        mut take: impl FnMut(Vec<HolderView>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut pages = pool.holders(self.beginning.as_str());
        while let Some(page) = pages.next_page().await? {
            let views = page.iter().map(HolderView::from);
            take(views.filter(|view| self.filter.accepts(view)).collect())?;
        }
        Ok(())
    }
}
