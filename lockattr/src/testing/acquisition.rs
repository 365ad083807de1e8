//! The record of what was acquired.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::LossReason;
use crate::listener::{Acquired, Listener, Lost, Released};

/// A lease that a call got.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Acquisition {
    /// The key.
    pub key: String,
    /// The attribute's key as it stands there; empty for keys that expressions make.
    pub template: &'static str,
    /// The function under the attribute, the caller's name, or file and line of `pool.lock(…)`.
    pub function: String,
    /// The lease's [fencing token](crate::Lease::fencing_token).
    pub fencing_token: u64,
    /// How long it took, from the request on.
    pub waited: Duration,
    /// How long the call had it. `None` while it has it.
    pub held: Option<Duration>,
    /// Why the lease ended before the call did, if it was lost.
    pub lost: Option<LossReason>,
}

impl fmt::Display for Acquisition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` by {}", self.key, self.function)?;
        match (self.held, self.lost) {
            (_, Some(reason)) => write!(f, ", lost: {reason}"),
            (Some(held), None) => write!(f, ", held for {held:?}"),
            (None, None) => f.write_str(", held now"),
        }
    }
}

/// All leases that the calls of a pool got, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Record(Arc<Mutex<Written>>);

#[derive(Debug, Default)]
struct Written {
    acquisitions: Vec<Acquisition>,
    /// Losses of which the record heard before it heard of their grants.
    lost_before: Vec<(String, u64, LossReason)>,
}

impl Record {
    pub(super) fn acquisitions(&self) -> Vec<Acquisition> {
        self.written().acquisitions.clone()
    }

    pub(super) fn clear(&self) {
        *self.written() = Written::default();
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Written {
    fn find(&mut self, key: &str, token: u64) -> Option<&mut Acquisition> {
        let mut all = self.acquisitions.iter_mut().rev();
        all.find(|it| it.fencing_token == token && it.key == key)
    }
}

impl Listener for Record {
    fn on_acquired(&self, acquired: &Acquired<'_>) {
        let mut written = self.written();
        let (key, fencing_token) = (acquired.call.key(), acquired.fencing_token);
        let is_it = |(lost, token, _): &mut (String, u64, LossReason)| {
            *token == fencing_token && lost == key
        };
        let lost = written.lost_before.extract_if(.., is_it).next();
        let lost = lost.map(|(_, _, reason)| reason);
        written.acquisitions.push(Acquisition {
            key: key.to_owned(),
            template: acquired.call.template(),
            function: acquired.call.function().to_string(),
            fencing_token,
            waited: acquired.waited,
            held: None,
            lost,
        });
    }

    fn on_lost(&self, lost: &Lost<'_>) {
        let mut written = self.written();
        let (key, token) = (lost.call.key(), lost.fencing_token);
        match written.find(key, token) {
            Some(it) => it.lost = Some(lost.reason),
            None => written
                .lost_before
                .push((key.to_owned(), token, lost.reason)),
        }
    }

    fn on_released(&self, released: &Released<'_>) {
        let mut written = self.written();
        // Nothing is found after the record was cleared.
        if let Some(it) = written.find(released.call.key(), released.fencing_token) {
            it.held = Some(released.held);
        }
    }
}
