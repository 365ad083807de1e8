//! The part of a lease that is about one key.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::super::Call;
use super::super::tenure::Tenure;
use crate::{Error, LossReason};

/// The lease of one key.
pub(super) struct Part {
    pub(super) tenure: Arc<Tenure>,
    pub(super) token: u64,
    pub(super) is_released: AtomicBool,
    pub(super) call: Arc<Call>,
}

impl Part {
    pub(super) fn key(&self) -> &str {
        self.tenure.key().as_str()
    }

    pub(super) fn ended(&self) -> Option<LossReason> {
        if self.is_released.load(Ordering::Acquire) {
            return Some(LossReason::Released);
        }
        self.tenure.ended()
    }

    pub(super) fn remaining(&self) -> Duration {
        match self.ended() {
            Some(_) => Duration::ZERO,
            None => self.tenure.valid_until().since(self.tenure.pool().now()),
        }
    }

    pub(super) fn is_valid(&self) -> bool {
        self.ended().is_none() && self.tenure.pool().now() < self.tenure.valid_until()
    }

    pub(super) fn over(&self) -> Option<LossReason> {
        match self.ended() {
            Some(reason) => Some(reason),
            None if self.is_valid() => None,
            // The I/O thread has not noticed the end yet.
            None => Some(LossReason::Expired),
        }
    }

    pub(super) async fn lost(&self) -> LossReason {
        loop {
            let ended = self.tenure.on_end().notified();
            if let Some(reason) = self.ended() {
                return reason;
            }
            ended.await;
        }
    }

    pub(super) async fn extend(&self, ttl: Duration) -> Result<(), Error> {
        if let Some(reason) = self.ended() {
            return Err(self.lost_error(reason));
        }
        let commands = self.tenure.pool().upgrade().ok_or(Error::Closed)?;
        let extended = commands.extend(&self.tenure, self.token, ttl).await;
        match (extended, self.ended()) {
            (Some(Err(Error::Lost { reason, .. })), _)
            | (Some(Err(Error::Closed)) | None, Some(reason)) => Err(self.lost_error(reason)),
            (Some(answer), _) => answer,
            (None, None) => Err(self.lost_error(LossReason::Released)),
        }
    }

    pub(super) fn lost_error(&self, reason: LossReason) -> Error {
        Error::Lost {
            key: self.tenure.key().shared(),
            fencing_token: self.token,
            reason,
        }
    }
}
