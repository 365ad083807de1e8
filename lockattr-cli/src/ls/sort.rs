//! The order of a list.

use std::cmp::Reverse;

use clap::ValueEnum;

use crate::holder_view::HolderView;

/// What is looked at first; then the key and the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Sort {
    /// By the key
    #[default]
    Key,
    /// What is held longest comes first
    Since,
    /// What ends first comes first
    Ttl,
    /// The key that most wait for comes first
    Waiters,
}

impl Sort {
    pub(super) fn sort(self, views: &mut [HolderView]) {
        views.sort_by(|a, b| (&a.key, a.token).cmp(&(&b.key, b.token)));
        match self {
            Self::Key => {}
            Self::Since => views.sort_by_key(|view| (view.started.is_none(), view.started)),
            Self::Ttl => views.sort_by_key(|view| view.ttl_left),
            Self::Waiters => views.sort_by_key(|view| Reverse(view.waiters)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use lockattr::Holder;

    use super::*;

    #[test]
    fn each_order_begins_with_what_matters_most() {
        let view = |key: &str, held: Option<u64>, ttl, waiters| {
            let mut holder = Holder::new(key, "", Duration::from_secs(ttl));
            holder.since = held.map(|held| SystemTime::now() - Duration::from_secs(held));
            holder.waiters = waiters;
            HolderView::from(&holder)
        };
        let mut views = [
            view("d", None, 20, 0),
            view("c", Some(10), 30, 2),
            view("b", Some(30), 10, 1),
            view("a", Some(20), 40, 1),
        ];
        for (sort, keys) in [
            (Sort::Key, "abcd"),
            (Sort::Since, "bacd"),
            (Sort::Ttl, "bdca"),
            (Sort::Waiters, "cabd"),
        ] {
            sort.sort(&mut views);
            let found: String = views.iter().map(|view| view.key.as_str()).collect();
            assert_eq!(found, keys, "{sort:?}");
        }
    }
}
