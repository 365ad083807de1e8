//! `lockattr run`: a command under a lock.

mod child;
pub(crate) mod launch;
mod options;
mod supervision;
mod terminal;

use std::time::Duration;

use lockattr::{Guard, Lease, LockPool, LossReason};
use nix::sys::signal::Signal;

use crate::connection::{Connection, close};
use crate::exit::Exit;
use crate::failure::{Failure, say};
use crate::signals::Signals;
use child::Child;
pub(crate) use options::Run;
use supervision::{End, Supervision};

impl Run {
    pub(crate) async fn execute(self, connection: &Connection) -> Result<Exit, Failure> {
        // From now on a signal ends nothing by itself: a lease would be left behind.
        let mut signals = Signals::forwarded()?;
        let pool = tokio::select! {
            signal = signals.next() => return Ok(Exit::by_signal(signal as i32)),
            pool = connection.open() => pool?,
        };
        let outcome = self.under_lock(&pool, &mut signals).await;
        close(&pool).await;
        outcome
    }

    async fn under_lock(self, pool: &LockPool, signals: &mut Signals) -> Result<Exit, Failure> {
        let acquired = tokio::select! {
            signal = signals.next() => Err(signal),
            guard = self.request(pool).acquire() => Ok(guard?),
        };
        let guard = match acquired {
            Ok(guard) => guard,
            Err(signal) => return Ok(Exit::by_signal(signal as i32)),
        };
        let ended = self.supervise(&guard, signals).await;
        let key = guard.key().to_owned();
        let token = guard.fencing_token();
        let lost = guard.release().await;
        let end = ended?;
        if end.was_lost {
            return Ok(Exit::LOST);
        }
        if let Some(reason) = lost {
            say(&format!(
                "the lock `{key}` (fencing token {token}) was lost before the command had ended: {reason}; \
                 check what was done under it"
            ));
            return Ok(Exit::LOST);
        }
        Ok(end.exit)
    }

    async fn supervise(&self, guard: &Guard, signals: &mut Signals) -> Result<End, Failure> {
        let child = Child::spawn(&self.command, guard.key(), guard.fencing_token())?;
        let grace = self.grace;
        let supervision = Supervision::new(child, guard.lease(), signals, grace);
        supervision.run().await
    }
}

/// What a lost lease says to the person at the terminal.
fn say_lost(lease: &Lease, reason: LossReason, grace: Duration) {
    say(&format!(
        "the lock `{}` (fencing token {}) was lost: {reason}; the command gets {}, and SIGKILL after {grace:?}",
        lease.key(),
        lease.fencing_token(),
        Signal::SIGTERM
    ));
}
