//! What an acquisition is asked for under.

use std::time::Duration;

use crate::backend::Confirmation;
use crate::clock::Time;
use crate::key::Key;
use crate::label::Label;
use crate::mode::Mode;
use crate::spec::Wait;
use crate::timing;

/// The terms of one acquisition, fixed before it starts.
#[derive(Debug, Clone)]
#[cfg_attr(test, derive(Hash))]
pub(crate) struct Terms {
    pub(crate) key: Key,
    pub(crate) ttl: Duration,
    pub(crate) wait: Wait,
    pub(crate) renew: bool,
    pub(crate) max_hold: Option<Duration>,
    pub(crate) label: Label,
    /// Without which neither a grant nor a renewal counts.
    pub(crate) confirmation: Option<Confirmation>,
    pub(crate) mode: Mode,
    /// How long after the grant other calls are kept out at least.
    pub(crate) min_hold: Option<Duration>,
}

impl Terms {
    /// The end that `max_hold` sets for a lease that begins now.
    pub(super) fn hold_until(&self, now: Time) -> Time {
        self.max_hold.map_or(Time::NEVER, |most| now + most)
    }

    /// Until when `min_hold` keeps others out after a grant now.
    pub(super) fn kept_until(&self, now: Time) -> Option<Time> {
        self.min_hold.map(|least| now + least)
    }

    /// How long the answer to an only attempt may take, its confirmation included.
    pub(in crate::protocol) fn patience(&self, response_timeout: Duration) -> Duration {
        let once = timing::patience(response_timeout, self.ttl);
        self.confirmation.map_or(once, |asked| {
            once + timing::confirmed_patience(once, asked.within)
        })
    }
}
