//! The order of the keys.

use clap::ValueEnum;

use super::refresh::Row;
use crate::sort::Sort;

/// What is looked at first; then the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Order {
    /// What is granted most often, as far as refreshes show it, comes first
    Grants,
    /// What most wait for comes first
    Waiters,
    /// What is held longest comes first
    Held,
    /// What ends first comes first
    Ttl,
    /// By the key
    Key,
}

impl Order {
    pub(super) const ALL: [Self; 5] = [
        Self::Grants,
        Self::Waiters,
        Self::Held,
        Self::Ttl,
        Self::Key,
    ];

    /// The name, whose first letter is the key that chooses it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Grants => "grants",
            Self::Waiters => "waiters",
            Self::Held => "held",
            Self::Ttl => "ttl",
            Self::Key => "key",
        }
    }

    pub(super) fn of_letter(letter: char) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|it| it.name().starts_with(letter))
    }

    pub(super) fn sort(self, rows: &mut [&Row]) {
        let by = match self {
            Self::Grants | Self::Key => Sort::Key,
            Self::Waiters => Sort::Waiters,
            Self::Held => Sort::Held,
            Self::Ttl => Sort::Ttl,
        };
        by.sort(rows, |row| &row.holder);
        if let Self::Grants = self {
            let rate = |row: &Row| row.grants.unwrap_or(-1.0);
            rows.sort_by(|one, other| rate(other).total_cmp(&rate(one)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use lockattr::Holder;

    use super::*;
    use crate::holder_view::HolderView;

    #[test]
    fn each_order_begins_with_what_matters_most() {
        let row = |key: &str, grants, waiters, held: u64, ttl| {
            let mut holder = Holder::new(key, "", Duration::from_secs(ttl));
            holder.since = Some(SystemTime::now() - Duration::from_secs(held));
            holder.waiters = waiters;
            Row::new(&[HolderView::from(&holder)], grants)
        };
        let rows = [
            row("d", None, 0, 10, 40),
            row("c", Some(0.5), 2, 20, 30),
            row("b", Some(3.0), 1, 40, 20),
            row("a", Some(0.5), 1, 30, 10),
        ];
        let mut rows: Vec<&Row> = rows.iter().collect();
        for (letter, keys) in [
            ('g', "bacd"),
            ('w', "cabd"),
            ('h', "bacd"),
            ('t', "abcd"),
            ('k', "abcd"),
        ] {
            Order::of_letter(letter).unwrap().sort(&mut rows);
            let found: String = rows.iter().map(|row| row.holder.key.as_str()).collect();
            assert_eq!(found, keys, "{letter}");
        }
        assert_eq!(Order::of_letter('x'), None);
    }
}
