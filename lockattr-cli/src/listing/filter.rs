//! Which holders are listed.

use std::time::Duration;

use clap::Args;

use crate::holder_view::HolderView;
use crate::span::parse_span;

/// All that are given must hold.
#[derive(Args)]
#[command(next_help_heading = "Filters")]
pub(super) struct Filter {
    /// Only what processes of this host hold
    #[arg(long)]
    host: Option<String>,
    /// Only what functions hold whose name has this text in it
    #[arg(long, value_name = "TEXT")]
    function: Option<String>,
    /// Only keys for which a process waits
    #[arg(long)]
    waited: bool,
    /// Only what is held for longer than this, such as 30s
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    longer_than: Option<Duration>,
}

impl Filter {
    pub(super) fn accepts(&self, view: &HolderView) -> bool {
        let host = self.host.is_none() || self.host == view.who.host;
        let function = self.function.as_ref().is_none_or(|text| {
            let function = view.who.function.as_ref();
            function.is_some_and(|function| function.contains(text))
        });
        let waited = !self.waited || view.waiters > 0;
        let long = self
            .longer_than
            .is_none_or(|least| view.held_for().is_some_and(|held| held > least));
        host && function && waited && long
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use lockattr::Holder;

    use super::*;

    const NONE: Filter = Filter {
        host: None,
        function: None,
        waited: false,
        longer_than: None,
    };

    fn view(who: &str, held: Option<u64>, waiters: usize) -> HolderView {
        let mut holder = Holder::new("k", who, Duration::from_secs(9));
        holder.since = held.map(|held| SystemTime::now() - Duration::from_secs(held));
        holder.waiters = waiters;
        HolderView::from(&holder)
    }

    #[test]
    fn each_filter_leaves_out_what_does_not_fit() {
        let view = view("web-1/7 shop::pay", Some(60), 1);
        let accepts = |filter: Filter| filter.accepts(&view);
        assert!(accepts(NONE));
        for (host, fits) in [("web-1", true), ("web", false)] {
            let host = Some(host.to_owned());
            assert_eq!(accepts(Filter { host, ..NONE }), fits);
        }
        for (function, fits) in [("pay", true), ("refund", false)] {
            let function = Some(function.to_owned());
            assert_eq!(accepts(Filter { function, ..NONE }), fits);
        }
        for (seconds, fits) in [(59, true), (3600, false)] {
            let longer_than = Some(Duration::from_secs(seconds));
            let filter = Filter {
                longer_than,
                ..NONE
            };
            assert_eq!(accepts(filter), fits);
        }
        let waited = Filter {
            waited: true,
            ..NONE
        };
        assert!(accepts(waited));
    }

    #[test]
    fn what_is_not_known_fits_no_filter() {
        let view = view("", None, 0);
        let filters = [
            Filter {
                host: Some(String::new()),
                ..NONE
            },
            Filter {
                function: Some(String::new()),
                ..NONE
            },
            Filter {
                waited: true,
                ..NONE
            },
            Filter {
                longer_than: Some(Duration::ZERO),
                ..NONE
            },
        ];
        for filter in filters {
            assert!(!filter.accepts(&view));
        }
    }
}
