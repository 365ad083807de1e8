//! Traces and counts what happens to leases, in one place.
//!
//! The events belong to the span of the call and to its dispatcher, although they happen on another
//! thread. Owner ids and URLs are never part of them.

use std::time::Duration;

use tracing::{Level, debug, trace, warn};

use super::recovery::shielded;
use super::{Call, CallTrace, Lease, Shared};
use crate::key::Key;
use crate::listener::{Acquired, Contended, Listener, LockCall, Lost, Released};
#[cfg(feature = "metrics")]
use crate::metrics::{Measured, Outcome};
use crate::protocol::Notice;
use crate::{Error, LossReason};

/// Tells the pool's listeners of an event of this call.
fn tell(shared: &Shared, call: &Call, key: &Key, event: impl Fn(&dyn Listener, LockCall<'_>)) {
    for listener in shared.listeners.iter() {
        shielded(|| event(listener, LockCall::new(key, call.label())));
    }
}

/// A call waits, for a lease of this holder that ends then if it is not renewed.
pub(super) fn waiting(
    shared: &Shared,
    call: &Call,
    key: &Key,
    held: Option<(Duration, Option<&str>)>,
) {
    shared.counters.waited.add_one();
    #[cfg(feature = "metrics")]
    call.measured().waits();
    let (ends_in, holder) = held.unzip();
    let holder = holder.flatten();
    call.trace().emit(
        Level::DEBUG,
        |span| debug!(parent: span, lock.key = %key, lock.ends_in = ?ends_in, lock.holder = holder, "waiting for the lock"),
    );
    tell(shared, call, key, |listener, call| {
        listener.on_contended(&Contended {
            call,
            holder,
            ends_in,
        });
    });
}

/// A call is offered a lease.
pub(super) fn granted(shared: &Shared, call: &Call, key: &Key, token: u64) {
    shared.counters.acquired.add_one();
    #[cfg(feature = "metrics")]
    call.measured().holds();
    let trace = call.trace();
    trace.span().record("lock.fencing_token", token);
    trace.emit(
        Level::DEBUG,
        |span| debug!(parent: span, lock.key = %key, lock.fencing_token = token, "lock acquired"),
    );
}

pub(super) fn refused(shared: &Shared, call: &CallTrace, key: &Key, error: &Error) {
    call.span().record("error.type", error_type(error));
    match error {
        Error::Busy { .. } => shared.counters.busy.add_one(),
        _ => shared.counters.failed.add_one(),
    }
    call.emit(
        Level::DEBUG,
        |span| debug!(parent: span, lock.key = %key, %error, "lock not acquired"),
    );
}

/// The attribute of OpenTelemetry by which failures are told apart.
fn error_type(error: &Error) -> &'static str {
    match error {
        Error::Busy { .. } => "busy",
        Error::Missed { .. } => "missed",
        Error::Backend { .. } => "backend",
        Error::OtherMode { .. } => "other_mode",
        Error::Closed => "closed",
        _ => "_OTHER",
    }
}

pub(super) fn missed(shared: &Shared, call: &Call, key: &Key) {
    shared.counters.missed.add_one();
    #[cfg(feature = "metrics")]
    call.measured().missed();
    call.trace().emit(Level::WARN, |span| warn!(parent: span, lock.key = %key, "the lease went to the next one: the call's future was not polled for a claim window"));
}

/// Traces and counts a notice of the call that holds the lease or asks for it; other events are traced where
/// they happen.
pub(super) fn observe(
    shared: &Shared,
    of: Option<(&Call, Option<u64>)>,
    key: &Key,
    notice: &Notice,
) {
    let counters = &shared.counters;
    let (of, token) = of.unzip();
    #[cfg(feature = "metrics")]
    if let Some(call) = of {
        measure(call.measured(), notice);
    }
    let nobody = CallTrace::none();
    let call = of.map_or(&nobody, Call::trace);
    match notice {
        Notice::Waiting { ends_in, holder } => {
            if let Some(call) = of {
                waiting(shared, call, key, Some((*ends_in, holder.as_deref())));
            }
        }
        Notice::Acquired { .. } | Notice::Failed(_) => {}
        Notice::Trouble(error) => {
            call.emit(Level::DEBUG, |span| debug!(parent: span, lock.key = %key, %error, "the lock service failed; it is asked again"));
        }
        Notice::Renewed { .. } => {
            counters.renewed.add_one();
            call.emit(
                Level::TRACE,
                |span| trace!(parent: span, lock.key = %key, "lease renewed"),
            );
        }
        Notice::RenewalFailed(error) => {
            counters.renewal_failed.add_one();
            call.emit(Level::WARN, |span| warn!(parent: span, lock.key = %key, %error, "a renewal failed; it is tried again while the lease is valid"));
        }
        Notice::Reserved(_) => call.emit(
            Level::TRACE,
            |span| trace!(parent: span, lock.key = %key, "fencing tokens reserved"),
        ),
        Notice::ReservationFailed(error) => {
            counters.renewal_failed.add_one();
            call.emit(Level::DEBUG, |span| debug!(parent: span, lock.key = %key, %error, "no more fencing tokens; the lease is not passed on any further"));
        }
        Notice::Extended { answer: Ok(()), .. } => call.emit(
            Level::TRACE,
            |span| trace!(parent: span, lock.key = %key, "lease extended"),
        ),
        Notice::Extended {
            answer: Err(error), ..
        } => call.emit(
            Level::DEBUG,
            |span| debug!(parent: span, lock.key = %key, %error, "lease not extended"),
        ),
        Notice::Lost(reason) => {
            counters.lost.add_one();
            call.span().record("error.type", "lost");
            call.emit(
                Level::WARN,
                |span| warn!(parent: span, lock.key = %key, lock.loss = %reason, "lock lost while it was held"),
            );
            if let (Some(holder), Some(token)) = (of, token.flatten()) {
                lost(shared, holder, key, token, *reason);
            }
        }
        Notice::Withdrawn => call.emit(
            Level::TRACE,
            |span| trace!(parent: span, lock.key = %key, "nothing left to release"),
        ),
        Notice::Released => {
            counters.released.add_one();
            call.emit(
                Level::DEBUG,
                |span| debug!(parent: span, lock.key = %key, "lock released"),
            );
        }
        Notice::ReleaseDelayed(error) => {
            counters.release_delayed.add_one();
            call.emit(Level::WARN, |span| warn!(parent: span, lock.key = %key, %error, "a release failed; it is tried again in the background"));
        }
        Notice::ReleaseAbandoned => {
            counters.release_abandoned.add_one();
            call.emit(Level::WARN, |span| warn!(parent: span, lock.key = %key, "the release was never confirmed; the lease ended by its ttl"));
        }
    }
}

#[cfg(feature = "metrics")]
fn measure(call: Measured<'_>, notice: &Notice) {
    match notice {
        Notice::RenewalFailed(_) | Notice::ReservationFailed(_) => call.renewal_failed(),
        Notice::Lost(reason) => call.lost(*reason),
        Notice::ReleaseDelayed(_) | Notice::ReleaseAbandoned => call.released_late(),
        _ => {}
    }
}

fn lost(shared: &Shared, call: &Call, key: &Key, fencing_token: u64, reason: LossReason) {
    tell(shared, call, key, |listener, call| {
        listener.on_lost(&Lost {
            call,
            fencing_token,
            reason,
        });
    });
}

/// The caller has its answer: the token of its lease, or an error.
pub(super) fn answered(
    shared: &Shared,
    call: &Call,
    key: &Key,
    answer: Result<u64, &Error>,
    waited: Duration,
) {
    #[cfg(feature = "metrics")]
    call.measured().answered(
        match answer {
            Ok(_) => Outcome::Acquired,
            Err(Error::Busy { .. }) => Outcome::Busy,
            Err(_) => Outcome::Failed,
        },
        waited,
    );
    let Ok(fencing_token) = answer else { return };
    tell(shared, call, key, |listener, call| {
        listener.on_acquired(&Acquired {
            call,
            fencing_token,
            waited,
        });
    });
}

/// The caller has gone without an answer.
#[cfg(feature = "metrics")]
pub(super) fn cancelled(call: &Call, waited: Duration) {
    call.measured().answered(Outcome::Cancelled, waited);
}

/// The caller has finished with its lease.
pub(super) fn finished(shared: &Shared, lease: &Lease, held: Duration) {
    let (call, key) = (lease.call(), lease.tenure().key());
    let fencing_token = lease.fencing_token();
    #[cfg(feature = "metrics")]
    call.measured().finished(held);
    tell(shared, call, key, |listener, call| {
        listener.on_released(&Released {
            call,
            fencing_token,
            held,
        });
    });
}
