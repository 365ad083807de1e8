//! Leases offered to callers that may not poll.
//!
//! A caller's future can exist without being polled: a branch of `select!` that lost, an element of
//! `buffered`, a future kept in a struct. A lease that goes to such a caller would be renewed
//! without use, and the key closed to all. So each lease that is passed is an offer, and the driver
//! takes it back unless the caller has taken it up within the claim window.
//!
//! One check is planned for a tenure, not for each of its holders: a lease that is passed on a
//! hundred thousand times a second plans one check per window.

use std::collections::BTreeMap;

use super::{Line, LineName, LocalQueues, Stage};
use crate::backend::LeaseId;
use crate::clock::Time;

/// The planned checks.
pub(super) type Offers = BTreeMap<(Time, LeaseId), LineName>;

impl<C> LocalQueues<C> {
    pub(super) fn forget_offer(&mut self, name: &LineName) {
        if let Some(line) = self.lines.get_mut(name)
            && let Some(at) = line.offer_checked_at.take()
        {
            self.offers.remove(&(at, line.lease));
        }
    }

    /// Returns the tenures whose latest offer is to be checked now: if it was not taken up for a
    /// claim window, the lease is released; if it is younger, [`check_offer`](Self::check_offer)
    /// plans the next check.
    pub(crate) fn offers_due(&mut self, now: Time) -> Vec<(LineName, LeaseId)> {
        let mut due = Vec::new();
        while let Some((&(at, id), name)) = self.offers.first_key_value() {
            if at > now {
                break;
            }
            let name = name.clone();
            self.offers.pop_first();
            if let Some(line) = self.line_of(&name, id) {
                line.offer_checked_at = None;
                due.push((name, id));
            }
        }
        due
    }

    /// Plans the check of an offer that was made at `since`.
    pub(crate) fn check_offer(&mut self, name: &LineName, id: LeaseId, since: Time) {
        if let Some(line) = self.lines.get_mut(name)
            && line.lease == id
            && matches!(line.stage, Stage::Held { .. })
        {
            watch(
                &mut self.offers,
                line,
                name,
                since + self.limits.claim_window,
            );
        }
    }
}

/// Plans the check of an offer of the line's lease, unless one is planned.
pub(super) fn watch<C>(offers: &mut Offers, line: &mut Line<C>, name: &LineName, at: Time) {
    if line.offer_checked_at.is_none() {
        line.offer_checked_at = Some(at);
        offers.insert((at, line.lease), name.clone());
    }
}
