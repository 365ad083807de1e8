//! How often keys are granted, as far as refreshes show it.
//!
//! A lease has the fencing token of its grant. A token that was not there at the refresh before is a grant since
//! then. What is granted and given back between two refreshes is not seen, nor that a process passes a lease on among
//! its own calls: there are at least as many grants as are counted here.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::refresh::{Listed, Refresh, Row};
use crate::holder_view::HolderView;

/// The time over which grants are counted.
pub(super) const WINDOW: Duration = Duration::from_secs(10);

/// The tokens of earlier refreshes.
#[derive(Default)]
pub(super) struct History {
    begun: Option<Instant>,
    keys: HashMap<String, Seen>,
}

struct Seen {
    /// The tokens of the latest refresh at which the key was held.
    tokens: HashSet<u64>,
    at: Instant,
    /// When new tokens were seen, and how many.
    grants: VecDeque<(Instant, u32)>,
}

impl History {
    /// Adds what was listed just now, and returns what is known of it.
    pub(super) fn note(&mut self, now: Instant, listed: Listed) -> Refresh {
        let Listed { at, took, keys } = listed;
        let is_first = self.begun.is_none();
        let begun = *self.begun.get_or_insert(now);
        let from = now.checked_sub(WINDOW).map_or(begun, |it| it.max(begun));
        let rows = keys.iter().map(|holders| {
            let count = self.count(now, from, holders, is_first);
            let rate = count.map(|count| f64::from(count) / (now - from).as_secs_f64());
            Row::new(holders, rate.filter(|_| !is_first))
        });
        let rows = rows.collect();
        self.keys.retain(|_, seen| seen.at >= from);
        Refresh { at, took, rows }
    }

    /// Returns how many grants were seen since `from`. `None` if a token is not known.
    fn count(
        &mut self,
        now: Instant,
        from: Instant,
        holders: &[HolderView],
        is_first: bool,
    ) -> Option<u32> {
        let tokens: HashSet<u64> = holders
            .iter()
            .map(|holder| holder.token)
            .collect::<Option<_>>()?;
        let seen = self.keys.entry(holders[0].key.clone());
        let seen = seen.or_insert_with(|| Seen {
            tokens: HashSet::new(),
            at: now,
            grants: VecDeque::new(),
        });
        let new = tokens.difference(&seen.tokens).count();
        if new > 0 && !is_first {
            let new = u32::try_from(new).unwrap_or(u32::MAX);
            seen.grants.push_back((now, new));
        }
        (seen.tokens, seen.at) = (tokens, now);
        while seen.grants.front().is_some_and(|(at, _)| *at <= from) {
            seen.grants.pop_front();
        }
        Some(seen.grants.iter().map(|(_, new)| new).sum())
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use lockattr::Holder;

    use super::*;

    /// Notes that key `k` has these tokens so many seconds after the start, and returns its rate.
    fn note(
        history: &mut History,
        start: Instant,
        seconds: u64,
        tokens: &[Option<u64>],
    ) -> Option<f64> {
        let holders = tokens.iter().map(|token| {
            let mut holder = Holder::new("k", "", Duration::from_secs(9));
            holder.fencing_token = *token;
            HolderView::from(&holder)
        });
        let holders: Vec<HolderView> = holders.collect();
        let listed = Listed {
            at: SystemTime::now(),
            took: Duration::ZERO,
            keys: if holders.is_empty() {
                Vec::new()
            } else {
                vec![holders]
            },
        };
        let refresh = history.note(start + Duration::from_secs(seconds), listed);
        refresh.rows.first().and_then(|row| row.grants)
    }

    #[test]
    fn new_tokens_are_counted() {
        let (mut history, start) = (History::default(), Instant::now());
        let mut rate = |seconds, tokens: &[u64]| {
            let tokens: Vec<_> = tokens.iter().copied().map(Some).collect();
            note(&mut history, start, seconds, &tokens)
        };
        assert_eq!(rate(0, &[1]), None, "nobody knows when it was granted");
        assert_eq!(rate(1, &[1]), Some(0.0));
        assert_eq!(rate(2, &[5]), Some(0.5));
        assert_eq!(rate(4, &[5, 6, 7]), Some(0.75));
        // A listing may miss a key, and tokens may go.
        assert_eq!(rate(5, &[]), None);
        assert_eq!(rate(6, &[6]), Some(0.5));
        // What is older than the window no longer counts: the one at 2, those at 4.
        assert_eq!(rate(12, &[6]), Some(0.2));
        assert_eq!(rate(14, &[6]), Some(0.0));
    }

    #[test]
    fn what_is_not_known_is_not_counted() {
        let (mut history, start) = (History::default(), Instant::now());
        assert_eq!(note(&mut history, start, 0, &[None]), None);
        assert_eq!(note(&mut history, start, 1, &[None, Some(1)]), None);
        assert_eq!(note(&mut history, start, 2, &[Some(1)]), Some(0.5));
    }

    #[test]
    fn keys_that_are_gone_are_forgotten() {
        let (mut history, start) = (History::default(), Instant::now());
        note(&mut history, start, 0, &[Some(1)]);
        note(&mut history, start, 9, &[]);
        assert_eq!(history.keys.len(), 1);
        note(&mut history, start, 11, &[]);
        assert_eq!(history.keys.len(), 0);
    }
}
