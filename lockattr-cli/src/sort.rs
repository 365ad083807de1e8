//! The order of a list.

use std::cmp::Reverse;

use clap::ValueEnum;

use crate::holder_view::HolderView;

/// What is looked at first; then the key and the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Sort {
    /// By the key
    #[default]
    Key,
    /// What is held longest comes first
    Held,
    /// What ends first comes first
    Ttl,
    /// The key that most wait for comes first
    Waiters,
}

impl Sort {
    /// Sorts what each item shows of a holder.
    pub(crate) fn sort<T>(self, items: &mut [T], of: impl Fn(&T) -> &HolderView) {
        items.sort_by(|a, b| {
            let (a, b) = (of(a), of(b));
            (&a.key, a.token).cmp(&(&b.key, b.token))
        });
        match self {
            Self::Key => {}
            Self::Held => items.sort_by_key(|it| (of(it).started.is_none(), of(it).started)),
            Self::Ttl => items.sort_by_key(|it| of(it).ttl_left),
            Self::Waiters => items.sort_by_key(|it| Reverse(of(it).waiters)),
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
            (Sort::Held, "bacd"),
            (Sort::Ttl, "bdca"),
            (Sort::Waiters, "cabd"),
        ] {
            sort.sort(&mut views, |view| view);
            let found: String = views.iter().map(|view| view.key.as_str()).collect();
            assert_eq!(found, keys, "{sort:?}");
        }
    }
}
