//! One look at all locks.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use lockattr::{LockPool, Mode};
use serde::Serialize;

use super::order::Order;
use crate::failure::Failure;
use crate::holder_view::HolderView;
use crate::listing::Listing;
use crate::mode_name;
use crate::span::date;

/// What the lock service told.
pub(super) struct Listed {
    pub(super) at: SystemTime,
    pub(super) took: Duration,
    /// The holders of each key, one at least.
    pub(super) keys: Vec<Vec<HolderView>>,
}

/// Asks for all holders.
pub(super) async fn list(pool: &LockPool, listing: &Listing) -> Result<Listed, Failure> {
    let (at, begun) = (SystemTime::now(), Instant::now());
    let mut found: BTreeMap<String, Vec<HolderView>> = BTreeMap::new();
    let pages = listing.for_each_page(pool, |page| {
        for holders in page.chunk_by(|one, other| one.key == other.key) {
            // The service may tell a key twice.
            let key = found.entry(holders[0].key.clone());
            key.or_insert_with(|| holders.to_vec());
        }
        Ok(())
    });
    pages.await?;
    Ok(Listed {
        at,
        took: begun.elapsed(),
        keys: found.into_values().collect(),
    })
}

/// What is shown of one look.
#[derive(Debug)]
pub(super) struct Refresh {
    pub(super) at: SystemTime,
    pub(super) took: Duration,
    pub(super) rows: Vec<Row>,
}

impl Refresh {
    pub(super) fn holders(&self) -> usize {
        self.rows.iter().map(|row| row.holders).sum()
    }

    pub(super) fn waiters(&self) -> usize {
        self.rows.iter().map(|row| row.holder.waiters).sum()
    }
}

/// One key.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    /// The one that has the key longest.
    #[serde(flatten)]
    pub(super) holder: HolderView,
    pub(super) holders: usize,
    /// `null` where it is not known, as at the first refresh.
    #[serde(rename = "grants_per_second_at_least")]
    pub(super) grants: Option<f64>,
    #[serde(skip)]
    pub(super) mode: String,
}

impl Row {
    /// `holders` are all of one key, one at least.
    pub(super) fn new(holders: &[HolderView], grants: Option<f64>) -> Self {
        let longest = holders.iter();
        let longest = longest.min_by_key(|it| (it.started.is_none(), it.started, it.token));
        let holder = longest.unwrap_or(&holders[0]).clone();
        let mode = match holder.permits {
            Some(permits) => {
                let taken = holders.iter().filter_map(|it| it.weight).sum();
                mode_name::description(Mode::permits(permits, taken))
            }
            None => holder.mode_description.clone(),
        };
        Self {
            holder,
            holders: holders.len(),
            grants,
            mode,
        }
    }
}

/// A refresh as JSON; its fields are documented in the crate's README.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    /// In RFC 3339.
    at: Option<String>,
    took_ms: u64,
    keys: usize,
    holders: usize,
    waiters: usize,
    top: Vec<&'a Row>,
}

impl<'a> Line<'a> {
    /// With the first keys of this order.
    pub(super) fn of(refresh: &'a Refresh, order: Order, limit: usize) -> Self {
        let mut top: Vec<&Row> = refresh.rows.iter().collect();
        order.sort(&mut top);
        top.truncate(limit);
        Self {
            at: date(refresh.at),
            took_ms: u64::try_from(refresh.took.as_millis()).unwrap_or(u64::MAX),
            keys: refresh.rows.len(),
            holders: refresh.holders(),
            waiters: refresh.waiters(),
            top,
        }
    }
}

#[cfg(test)]
mod tests {
    use lockattr::Holder;

    use super::*;

    fn holder(held: u64, mode: Mode) -> HolderView {
        let mut holder = Holder::new("k", "web/1 f", Duration::from_secs(9));
        holder.since = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(100 - held));
        holder.fencing_token = Some(held);
        holder.mode = mode;
        holder.waiters = 3;
        HolderView::from(&holder)
    }

    #[test]
    fn a_key_is_shown_by_the_holder_that_has_it_longest() {
        let holders = [1, 30, 2].map(|held| holder(held, Mode::permits(9, 2)));
        let row = Row::new(&holders, Some(1.5));
        assert_eq!((row.holder.token, row.holders), (Some(30), 3));
        assert_eq!(row.mode, "6 of 9 permits");
        let refresh = Refresh {
            at: SystemTime::UNIX_EPOCH,
            took: Duration::from_millis(7),
            rows: vec![row, Row::new(&[holder(1, Mode::Exclusive)], None)],
        };
        let line = serde_json::to_value(Line::of(&refresh, Order::Grants, 1)).unwrap();
        assert_eq!(line["at"], "1970-01-01T00:00:00.000Z");
        let counts = ["keys", "holders", "waiters", "took_ms"].map(|name| line[name].as_u64());
        assert_eq!(counts, [2, 4, 6, 7].map(Some));
        let top = line["top"].as_array().unwrap();
        assert_eq!(top.len(), 1);
        assert_eq!(top[0]["grants_per_second_at_least"], 1.5);
        assert_eq!(
            (&top[0]["host"], &top[0]["token"]),
            (&"web".into(), &30.into())
        );
    }
}
