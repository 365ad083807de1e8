//! Traces and counts what happens to leases, in one place.
//!
//! The events belong to the span of the call and to its dispatcher, although they happen on another
//! thread. Owner ids and URLs are never part of them.

use std::time::Duration;

use tracing::{Level, debug, trace, warn};

use super::{CallTrace, Counters};
use crate::Error;
use crate::key::Key;
use crate::protocol::Notice;

/// A call waits, for a lease of this holder that ends then if it is not renewed.
pub(super) fn waiting(
    counters: &Counters,
    call: &CallTrace,
    key: &Key,
    held: Option<(Duration, Option<&str>)>,
) {
    counters.waited.add_one();
    let (ends_in, holder) = held.unzip();
    let holder = holder.flatten();
    call.emit(
        Level::DEBUG,
        |span| debug!(parent: span, %key, ?ends_in, holder, "waiting for the lock"),
    );
}

pub(super) fn acquired(counters: &Counters, call: &CallTrace, key: &Key, token: u64) {
    counters.acquired.add_one();
    call.span().record("fencing_token", token);
    call.emit(
        Level::DEBUG,
        |span| debug!(parent: span, %key, fencing_token = token, "lock acquired"),
    );
}

pub(super) fn refused(counters: &Counters, call: &CallTrace, key: &Key, error: &Error) {
    match error {
        Error::Busy { .. } => counters.busy.add_one(),
        _ => counters.failed.add_one(),
    }
    call.emit(
        Level::DEBUG,
        |span| debug!(parent: span, %key, %error, "lock not acquired"),
    );
}

pub(super) fn missed(counters: &Counters, call: &CallTrace, key: &Key) {
    counters.missed.add_one();
    call.emit(Level::WARN, |span| warn!(parent: span, %key, "the lease went to the next one: the call's future was not polled for a claim window"));
}

/// Traces and counts a notice; other events are traced where they happen.
pub(super) fn observe(counters: &Counters, call: &CallTrace, key: &Key, notice: &Notice) {
    match notice {
        Notice::Waiting { ends_in, holder } => {
            waiting(counters, call, key, Some((*ends_in, holder.as_deref())));
        }
        Notice::Acquired { .. } | Notice::Failed(_) => {}
        Notice::Trouble(error) => {
            call.emit(Level::DEBUG, |span| debug!(parent: span, %key, %error, "the lock service failed; it is asked again"));
        }
        Notice::Renewed { .. } => {
            counters.renewed.add_one();
            call.emit(
                Level::TRACE,
                |span| trace!(parent: span, %key, "lease renewed"),
            );
        }
        Notice::RenewalFailed(error) => {
            counters.renewal_failed.add_one();
            call.emit(Level::WARN, |span| warn!(parent: span, %key, %error, "a renewal failed; it is tried again while the lease is valid"));
        }
        Notice::Reserved(_) => call.emit(
            Level::TRACE,
            |span| trace!(parent: span, %key, "fencing tokens reserved"),
        ),
        Notice::ReservationFailed(error) => {
            counters.renewal_failed.add_one();
            call.emit(Level::DEBUG, |span| debug!(parent: span, %key, %error, "no more fencing tokens; the lease is not passed on any further"));
        }
        Notice::Extended { answer: Ok(()), .. } => call.emit(
            Level::TRACE,
            |span| trace!(parent: span, %key, "lease extended"),
        ),
        Notice::Extended {
            answer: Err(error), ..
        } => call.emit(
            Level::DEBUG,
            |span| debug!(parent: span, %key, %error, "lease not extended"),
        ),
        Notice::Lost(reason) => {
            counters.lost.add_one();
            call.emit(
                Level::WARN,
                |span| warn!(parent: span, %key, %reason, "lock lost while it was held"),
            );
        }
        Notice::Withdrawn => call.emit(
            Level::TRACE,
            |span| trace!(parent: span, %key, "nothing left to release"),
        ),
        Notice::Released => {
            counters.released.add_one();
            call.emit(
                Level::DEBUG,
                |span| debug!(parent: span, %key, "lock released"),
            );
        }
        Notice::ReleaseDelayed(error) => {
            counters.release_delayed.add_one();
            call.emit(Level::WARN, |span| warn!(parent: span, %key, %error, "a release failed; it is tried again in the background"));
        }
        Notice::ReleaseAbandoned => {
            counters.release_abandoned.add_one();
            call.emit(Level::WARN, |span| warn!(parent: span, %key, "the release was never confirmed; the lease ended by its ttl"));
        }
    }
}
