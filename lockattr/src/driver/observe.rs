//! Traces and counts what happens to leases, in one place.
//!
//! The events belong to the span of the call and to its dispatcher, although they happen on another
//! thread. Owner ids and URLs are never part of them.

use std::time::Duration;

use tracing::{Level, debug, trace, warn};

use super::{Call, CallTrace, Counters};
use crate::Error;
#[cfg(feature = "metrics")]
use crate::clock::Time;
use crate::key::Key;
#[cfg(feature = "metrics")]
use crate::metrics::{Measured, Outcome};
use crate::protocol::Notice;

/// A call waits, for a lease of this holder that ends then if it is not renewed.
pub(super) fn waiting(
    counters: &Counters,
    call: &Call,
    key: &Key,
    held: Option<(Duration, Option<&str>)>,
) {
    counters.waited.add_one();
    #[cfg(feature = "metrics")]
    call.measured().waits();
    let (ends_in, holder) = held.unzip();
    let holder = holder.flatten();
    call.trace().emit(
        Level::DEBUG,
        |span| debug!(parent: span, %key, ?ends_in, holder, "waiting for the lock"),
    );
}

pub(super) fn acquired(counters: &Counters, call: &Call, key: &Key, token: u64) {
    counters.acquired.add_one();
    #[cfg(feature = "metrics")]
    call.measured().holds();
    let trace = call.trace();
    trace.span().record("fencing_token", token);
    trace.emit(
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

pub(super) fn missed(counters: &Counters, call: &Call, key: &Key) {
    counters.missed.add_one();
    #[cfg(feature = "metrics")]
    call.measured().missed();
    call.trace().emit(Level::WARN, |span| warn!(parent: span, %key, "the lease went to the next one: the call's future was not polled for a claim window"));
}

/// Traces and counts a notice of the call that holds the lease or asks for it; other events are traced where
/// they happen.
pub(super) fn observe(counters: &Counters, of: Option<&Call>, key: &Key, notice: &Notice) {
    #[cfg(feature = "metrics")]
    if let Some(call) = of {
        measure(call.measured(), notice);
    }
    let nobody = CallTrace::none();
    let call = of.map_or(&nobody, Call::trace);
    match notice {
        Notice::Waiting { ends_in, holder } => {
            if let Some(call) = of {
                waiting(counters, call, key, Some((*ends_in, holder.as_deref())));
            }
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

#[cfg(feature = "metrics")]
fn measure(call: &Measured, notice: &Notice) {
    match notice {
        Notice::RenewalFailed(_) | Notice::ReservationFailed(_) => call.renewal_failed(),
        Notice::Lost(reason) => call.lost(*reason),
        Notice::ReleaseDelayed(_) | Notice::ReleaseAbandoned => call.released_late(),
        _ => {}
    }
}

/// The caller has its answer.
#[cfg(feature = "metrics")]
pub(super) fn answered(call: &Call, error: Option<&Error>, asked_at: Time) {
    let outcome = match error {
        None => Outcome::Acquired,
        Some(Error::Busy { .. }) => Outcome::Busy,
        Some(_) => Outcome::Failed,
    };
    let after = Time::now().since(asked_at);
    call.measured().answered(outcome, after);
}

/// The caller has gone without an answer.
#[cfg(feature = "metrics")]
pub(super) fn cancelled(call: &Call, asked_at: Time) {
    let after = Time::now().since(asked_at);
    call.measured().answered(Outcome::Cancelled, after);
}

/// The holder has finished with its lease.
#[cfg(feature = "metrics")]
pub(super) fn finished(call: &Call, since: Time) {
    call.measured().finished(Time::now().since(since));
}
