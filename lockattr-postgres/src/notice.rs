//! What a waiter is told when it is its turn.

use std::time::Duration;

use lockattr::backend::{Event, Granted, OwnerIds};

use crate::clock::Clocks;

/// A handoff, as the server tells it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Notice<'a> {
    pub(crate) owner: &'a str,
    pub(crate) first: i64,
    pub(crate) count: i64,
    pub(crate) contended: bool,
    /// How long the lease lasts, in milliseconds.
    pub(crate) claim: i64,
    /// When it was granted, on the server's clock in microseconds.
    pub(crate) at: i64,
}

impl<'a> Notice<'a> {
    /// Reads the payload of a notification.
    pub(crate) fn parse(payload: &'a str) -> Option<Self> {
        let mut parts = payload.split('|');
        let owner = parts.next()?;
        let numbers: Vec<i64> = parts.map_while(|it| it.parse().ok()).collect();
        let [first, count, contended, claim, at] = numbers[..] else {
            return None;
        };
        Some(Self {
            owner,
            first,
            count,
            contended: contended != 0,
            claim,
            at,
        })
    }

    /// `None` if it is for no attempt of this pool, or makes no sense.
    pub(crate) fn event(&self, owners: &OwnerIds, clocks: Clocks) -> Option<Event> {
        Some(Event::HandedOver {
            owner: owners.parse(self.owner)?,
            granted: granted(self.first, self.count, self.contended)?,
            since: clocks.translate(self.at),
            ttl: Duration::from_millis(self.claim.try_into().ok()?),
        })
    }
}

/// `None` for tokens that make no sense.
pub(crate) fn granted(first: i64, count: i64, contended: bool) -> Option<Granted> {
    let first = u64::try_from(first).ok().filter(|first| *first > 0)?;
    let count = u64::try_from(count).ok().filter(|count| *count > 0)?;
    Some(Granted::new(first..first.checked_add(count)?, contended))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_read_or_refused() {
        let read = Notice::parse("o-1-0|1700|5|1|400|99").unwrap();
        let expected = Notice {
            owner: "o-1-0",
            first: 1700,
            count: 5,
            contended: true,
            claim: 400,
            at: 99,
        };
        assert_eq!(read, expected);
        for payload in ["", "o", "o|1|2|3|4", "o|1|2|3|4|x", "o|1|2|3|4|5|6"] {
            assert_eq!(Notice::parse(payload), None, "{payload}");
        }
        assert!(granted(0, 1, false).is_none() && granted(1, 0, false).is_none());
    }
}
