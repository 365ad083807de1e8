//! Traces and counts what happens to leases, in one place.
//!
//! Owner ids and URLs are never part of it.

use tracing::{debug, trace, warn};

use super::Counters;
use crate::Error;
use crate::key::Key;
use crate::label::Label;
use crate::protocol::Notice;

pub(super) fn observe(counters: &Counters, key: &Key, label: Label, notice: &Notice) {
    match notice {
        Notice::Waiting { ends_in } => {
            counters.waited.add_one();
            debug!(%key, lock = %label, ?ends_in, "waiting for the lock");
        }
        Notice::Acquired { token, .. } => {
            counters.acquired.add_one();
            debug!(%key, lock = %label, fencing_token = token, "lock acquired");
        }
        Notice::Failed(error) => {
            match error {
                Error::Busy { .. } => counters.busy.add_one(),
                _ => counters.failed.add_one(),
            }
            debug!(%key, lock = %label, %error, "lock not acquired");
        }
        Notice::Renewed { .. } => {
            counters.renewed.add_one();
            trace!(%key, lock = %label, "lease renewed");
        }
        Notice::RenewalFailed(error) => {
            counters.renewal_failed.add_one();
            warn!(%key, lock = %label, %error, "a renewal failed; it is tried again while the lease is valid");
        }
        Notice::Extended(Ok(())) => trace!(%key, lock = %label, "lease extended"),
        Notice::Extended(Err(error)) => debug!(%key, lock = %label, %error, "lease not extended"),
        Notice::Lost(reason) => {
            counters.lost.add_one();
            warn!(%key, lock = %label, %reason, "lock lost while it was held");
        }
        Notice::Withdrawn => trace!(%key, lock = %label, "nothing left to release"),
        Notice::Released => {
            counters.released.add_one();
            debug!(%key, lock = %label, "lock released");
        }
        Notice::ReleaseDelayed(error) => {
            counters.release_delayed.add_one();
            warn!(%key, lock = %label, %error, "a release failed; it is tried again in the background");
        }
        Notice::ReleaseAbandoned => {
            counters.release_abandoned.add_one();
            warn!(%key, lock = %label, "the release was never confirmed; the lease ended by its ttl");
        }
    }
}
