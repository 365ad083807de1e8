//! One call, from its request to its lease.

use std::mem;
#[cfg(feature = "metrics")]
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::{CallTrace, Grant};
use crate::Error;
use crate::clock::Time;
use crate::label::Label;
#[cfg(feature = "metrics")]
use crate::metrics::Measured;

/// The state of a call. An offered lease stays the pool's until the caller takes it up.
///
/// Wakers run foreign code, so they run and are dropped outside of the mutex.
#[derive(Debug)]
pub(crate) struct Call {
    trace: CallTrace,
    label: Label,
    #[cfg(feature = "metrics")]
    has_waited: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Waiting(Option<Waker>),
    Offered {
        grant: Grant,
        since: Time,
    },
    Refused(Error),
    /// The lease went to the next call, because this one was not polled.
    Missed,
    /// The caller has its answer, or is gone.
    Over,
}

/// The answer that a caller gets.
#[derive(Debug)]
pub(super) enum Answer {
    Granted(Grant),
    Refused(Error),
    Missed,
}

/// What happens to a lease that may not have been taken up.
#[derive(Debug)]
pub(super) enum Check {
    /// The caller has taken it up, or is gone.
    Over,
    /// It was offered then, which is not long enough ago.
    Since(Time),
    /// The pool has it again.
    TakenBack(Grant),
}

impl Call {
    pub(super) fn new(trace: CallTrace, label: Label) -> Self {
        Self {
            trace,
            label,
            #[cfg(feature = "metrics")]
            has_waited: AtomicBool::new(false),
            state: Mutex::new(State::Waiting(None)),
        }
    }

    #[cfg(feature = "metrics")]
    pub(super) fn measured(&self) -> Measured<'_> {
        Measured {
            label: self.label,
            has_waited: &self.has_waited,
        }
    }

    pub(crate) fn trace(&self) -> &CallTrace {
        &self.trace
    }

    pub(super) fn label(&self) -> Label {
        self.label
    }

    /// Offers a lease. Returns the waker to be called, or the lease if the caller is gone.
    pub(super) fn grant(&self, grant: Grant, since: Time) -> Result<Option<Waker>, Grant> {
        match &mut *self.state() {
            state @ State::Waiting(_) => {
                match mem::replace(state, State::Offered { grant, since }) {
                    State::Waiting(waker) => Ok(waker),
                    _ => Ok(None),
                }
            }
            _ => Err(grant),
        }
    }

    /// Returns the waker to be called.
    pub(super) fn refuse(&self, error: Error) -> Option<Waker> {
        match &mut *self.state() {
            state @ State::Waiting(_) => match mem::replace(state, State::Refused(error)) {
                State::Waiting(waker) => waker,
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<Answer> {
        let mut state = self.state();
        if let State::Waiting(waker) = &mut *state {
            // Cloning a waker is foreign code too, so it happens before the mutex is taken again.
            if waker
                .as_ref()
                .is_some_and(|waker| waker.will_wake(cx.waker()))
            {
                return Poll::Pending;
            }
            drop(state);
            let waker = cx.waker().clone();
            state = self.state();
            if let State::Waiting(place) = &mut *state {
                let old = place.replace(waker);
                drop(state);
                drop(old);
                return Poll::Pending;
            }
        }
        match mem::replace(&mut *state, State::Over) {
            State::Offered { grant, .. } => Poll::Ready(Answer::Granted(grant)),
            State::Refused(error) => Poll::Ready(Answer::Refused(error)),
            State::Missed => Poll::Ready(Answer::Missed),
            State::Waiting(_) | State::Over => Poll::Ready(Answer::Refused(Error::Closed)),
        }
    }

    /// The caller is gone. A lease offered to it is dropped, and so goes to the next waiter.
    pub(super) fn leave(&self) {
        let state = mem::replace(&mut *self.state(), State::Over);
        drop(state);
    }

    /// Takes back a lease that was offered a claim window ago or earlier.
    pub(super) fn take_back(&self, now: Time, claim_window: Duration) -> Check {
        let mut state = self.state();
        match &*state {
            State::Offered { since, .. } if *since + claim_window > now => Check::Since(*since),
            State::Offered { .. } => match mem::replace(&mut *state, State::Missed) {
                State::Offered { grant, .. } => Check::TakenBack(grant),
                _ => Check::Over,
            },
            _ => Check::Over,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
