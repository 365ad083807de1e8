//! The way to the server: a connection, or the effort to get one, and how long it may be silent.

use std::sync::Arc;
use std::time::Duration;

use lockattr::backend::{Attempt, BackendError};
use tokio::time::Instant;

use crate::batch::LARGEST;
use crate::dial::{Dialer, Session};

/// So many batches keep the server at work while an answer is on its way. More attempts wait in the pool meanwhile, since
/// one transaction for many costs the server less.
const BUSY: usize = 2;
/// After so long a silence the server is asked for its clock: a way that is closed without a word is noticed before a
/// caller meets it.
const IDLE: Duration = Duration::from_secs(10);
/// The same where handoffs are told, and attempts take other ways: handoffs are dated by that clock.
const IDLE_EAR: Duration = Duration::from_secs(1);
/// For what has come to be read: after a stall of this thread the answers are in the socket.
const GRACE: Duration = Duration::from_millis(10);

pub(crate) struct Link {
    pub(crate) dialer: Arc<Dialer>,
    pub(crate) session: Option<Session>,
    /// Counts the connections, so that reports about older ones are noticed.
    pub(crate) generation: u64,
    pub(crate) is_dialling: bool,
    /// Dials and connections that brought nothing since the last answer.
    pub(crate) failures: u32,
    pub(crate) last_error: BackendError,
    /// Attempts to be sent with the next batch.
    pub(crate) outgoing: Vec<Attempt>,
    /// How many requests wait for their answers.
    pub(crate) unanswered: usize,
    /// Since when an answer is waited for; if none is, since when nothing was asked.
    quiet_since: Instant,
    /// Whether it is late, and what has come is still to be read.
    is_doubted: bool,
    idle: Duration,
}

/// What is to be done about a link that is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alarm {
    /// Nothing was asked for a while.
    Ask,
    /// Nothing came for the whole of the patience.
    GiveUp,
}

/// Returns the span with some jitter: the same in all processes would end at the same time.
pub(crate) fn jittered(span: Duration) -> Duration {
    span.mul_f64(0.8 + 0.4 * fastrand::f64())
}

impl Link {
    /// `is_only` says that the pool has no other one.
    pub(crate) fn new(
        dialer: Arc<Dialer>,
        session: Session,
        is_only: bool,
        last_error: BackendError,
    ) -> Self {
        let listens = dialer.channel.is_some();
        Self {
            dialer,
            session: Some(session),
            generation: 0,
            is_dialling: false,
            failures: 0,
            last_error,
            outgoing: Vec::new(),
            unanswered: 0,
            quiet_since: Instant::now(),
            is_doubted: false,
            idle: jittered(if listens && !is_only { IDLE_EAR } else { IDLE }),
        }
    }

    /// How many of so many waiting attempts it takes now.
    pub(crate) fn room(&self, waiting: usize) -> usize {
        // Behind a pooler, one question at a time.
        let most = if self.dialer.is_pooled { 1 } else { BUSY };
        if self.session.is_some() && self.unanswered >= most {
            return 0;
        }
        waiting.min(LARGEST.saturating_sub(self.outgoing.len()))
    }

    pub(crate) fn sent(&mut self) {
        if self.unanswered == 0 {
            self.quiet_since = Instant::now();
        }
        self.unanswered += 1;
    }

    pub(crate) fn answered(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.quiet_since = Instant::now();
        self.is_doubted = false;
        self.failures = 0;
    }

    /// Returns the connection that is given up.
    pub(crate) fn lose(&mut self, error: BackendError) -> Option<Session> {
        self.last_error = error;
        self.unanswered = 0;
        self.is_doubted = false;
        self.failures = self.failures.saturating_add(1);
        self.session.take()
    }

    pub(crate) fn found(&mut self, session: Session) {
        self.session = Some(session);
        self.unanswered = 0;
        self.quiet_since = Instant::now();
    }

    /// When to look at it again.
    pub(crate) fn wakeup(&self, patience: Duration) -> Option<Instant> {
        self.session.as_ref()?;
        let grace = if self.is_doubted {
            GRACE
        } else {
            Duration::ZERO
        };
        let span = if self.unanswered > 0 {
            patience + grace
        } else {
            self.idle
        };
        Some(self.quiet_since + span)
    }

    pub(crate) fn take_alarm(&mut self, now: Instant, patience: Duration) -> Option<Alarm> {
        if self.wakeup(patience).is_none_or(|at| at > now) {
            return None;
        }
        if self.unanswered == 0 {
            return Some(Alarm::Ask);
        }
        if self.is_doubted {
            return Some(Alarm::GiveUp);
        }
        self.is_doubted = true;
        self.quiet_since = now - patience;
        None
    }
}
