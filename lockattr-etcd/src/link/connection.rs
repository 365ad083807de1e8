//! One connection to one member.

use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use lockattr::backend::Failure;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;
use tonic::transport::Channel;

use super::login::Proof;
use crate::rpc::{self, CallError, Method, Token};

/// A silence that was noticed just now is looked at once more after this: the thread may have stood
/// still, and the answers are in the socket.
const GRACE: Duration = Duration::from_millis(10);

/// The part of the patience after which a silence is suspicious.
const SUSPICIOUS: u32 = 4;

pub(crate) struct Connection {
    pub(super) channel: Channel,
    proof: Proof,
    /// The answer to the last login; one at a time is asked for.
    pub(super) login: Mutex<Result<(), Failure>>,
    /// How many logins were answered.
    pub(super) logins: Cell<u64>,
    /// How long an answer took when it was dialled.
    pub(crate) round_trip: Duration,
    /// How many questions have no answer yet.
    asked: Cell<usize>,
    /// Since when nothing was heard, while something is asked.
    silent_since: Cell<Instant>,
    noticed: Cell<Option<Instant>>,
    /// Whether it was given up.
    over: watch::Sender<bool>,
}

/// A question that is asked, and counted until this is dropped.
struct Asked<'a>(&'a Connection);

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.asked.set(self.0.asked.get() - 1);
    }
}

impl Connection {
    pub(super) fn new(channel: Channel, token: Option<Token>, round_trip: Duration) -> Self {
        Self {
            channel,
            proof: Proof::new(token),
            login: Mutex::new(Ok(())),
            logins: Cell::new(0),
            round_trip,
            asked: Cell::new(0),
            silent_since: Cell::new(Instant::now()),
            noticed: Cell::new(None),
            over: watch::Sender::new(false),
        }
    }

    pub(crate) fn channel(&self) -> &Channel {
        &self.channel
    }

    pub(crate) fn proof(&self) -> &Proof {
        &self.proof
    }

    /// Something came.
    pub(crate) fn heard(&self) {
        self.silent_since.set(Instant::now());
        self.noticed.set(None);
    }

    pub(super) fn end(&self) {
        self.over.send_replace(true);
    }

    /// Waits until it is given up.
    pub(crate) fn ended(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut over = self.over.subscribe();
        async move {
            // The sender is dropped with the connection.
            let _ = over.wait_for(|over| *over).await;
        }
    }

    /// # Errors
    ///
    /// Those of the call, also when the connection is given up.
    pub(super) async fn ask<Q: Method>(
        &self,
        token: Option<&Token>,
        question: Q,
    ) -> Result<Q::Answer, CallError> {
        if self.asked.replace(self.asked.get() + 1) == 0 {
            self.heard();
        }
        let _asked = Asked(self);
        let asking = rpc::ask(&self.channel, token, question);
        match select(pin!(asking), pin!(self.ended())).await {
            Either::Left((answer, _)) => {
                self.heard();
                answer
            }
            Either::Right(((), _)) => Err(CallError::GivenUp),
        }
    }

    /// Since when nothing was heard, if something is asked.
    fn silent_since(&self) -> Option<Instant> {
        (self.asked.get() > 0).then(|| self.silent_since.get())
    }

    /// When its silence becomes suspicious: mostly an answer is overdue then, and another connection can be
    /// there before the patience ends.
    pub(super) fn suspicious_at(&self, patience: Duration) -> Option<Instant> {
        let after = (patience / SUSPICIOUS).max(self.round_trip * 2);
        self.silent_since()?.checked_add(after)
    }

    /// When it is to be given up, or looked at once more.
    pub(super) fn silent_at(&self, patience: Duration) -> Option<Instant> {
        let at = self.silent_since()?.checked_add(patience)?;
        let noticed = self.noticed.get();
        Some(noticed.map_or(at, |noticed| at.max(noticed + GRACE)))
    }

    /// Whether it has been silent for too long.
    pub(super) fn is_silent(&self, patience: Duration) -> bool {
        let now = Instant::now();
        if self.silent_at(patience).is_none_or(|at| at > now) {
            return false;
        }
        if self.noticed.get().is_some() {
            return true;
        }
        self.noticed.set(Some(now));
        false
    }
}
