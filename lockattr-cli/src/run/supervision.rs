//! The command's life under the lock.

use std::time::Duration;

use lockattr::Lease;
use nix::sys::signal::Signal;
use tokio::time::{Instant, sleep, sleep_until};

use super::child::{Change, Child};
use super::say_lost;
use super::terminal::Terminal;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::signals::Signals;

/// How often a group that has to end is looked at; nothing tells when its last process has ended.
const LOOK: Duration = Duration::from_millis(20);

/// How the command ended.
pub(super) struct End {
    pub(super) exit: Exit,
    /// Whether it was ended because its lease was lost.
    pub(super) was_lost: bool,
}

pub(super) struct Supervision<'a> {
    child: Child,
    lease: &'a Lease,
    signals: &'a mut Signals,
    grace: Duration,
    terminal: Option<Terminal>,
    /// When the group is killed, once the lease is lost.
    killed_at: Option<Instant>,
    /// Whether the command was stopped, as by Ctrl-Z.
    is_stopped: bool,
}

impl<'a> Supervision<'a> {
    pub(super) fn new(
        child: Child,
        lease: &'a Lease,
        signals: &'a mut Signals,
        grace: Duration,
    ) -> Self {
        Self {
            terminal: Terminal::of(child.group()),
            child,
            lease,
            signals,
            grace,
            killed_at: None,
            is_stopped: false,
        }
    }

    /// Waits until the command has ended, and ends it when the lease is lost.
    pub(super) async fn run(mut self) -> Result<End, Failure> {
        let ended = self.until_it_ends().await;
        if ended.is_err() {
            // It would run on without a lock.
            self.child.signal(Signal::SIGKILL)?;
        }
        if let Some(terminal) = &self.terminal {
            terminal.take_back()?;
        }
        let exit = ended?;
        let was_lost = self.killed_at.is_some();
        if let Some(killed_at) = self.killed_at {
            self.until_the_group_ends(killed_at).await?;
        }
        Ok(End { exit, was_lost })
    }

    async fn until_it_ends(&mut self) -> Result<Exit, Failure> {
        let mut job = Signals::of([Signal::SIGTSTP, Signal::SIGCONT])?;
        loop {
            let is_lost = self.killed_at.is_some();
            let killed_at = self.killed_at.unwrap_or_else(Instant::now);
            tokio::select! {
                // A command that has ended needs no signal.
                biased;
                change = self.child.changed() => match change? {
                    Change::Ended(exit) => return Ok(exit),
                    Change::Stopped(by) => self.stopped(by)?,
                },
                reason = self.lease.lost(), if !is_lost => {
                    say_lost(self.lease, reason, self.grace);
                    self.end()?;
                }
                () = sleep_until(killed_at), if is_lost => {
                    self.child.signal(Signal::SIGKILL)?;
                    let Change::Ended(exit) = self.child.changed().await? else { continue };
                    return Ok(exit);
                }
                signal = self.signals.next() => self.child.signal(signal)?,
                signal = job.next() => match signal {
                    Signal::SIGCONT => self.goes_on()?,
                    stop => self.child.signal(stop)?,
                },
            }
        }
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.killed_at = Some(Instant::now() + self.grace);
        self.child.signal(Signal::SIGTERM)?;
        // What is stopped does not see it before it goes on.
        self.child.signal(Signal::SIGCONT)
    }

    fn stopped(&mut self, by: i32) -> Result<(), Failure> {
        self.is_stopped = true;
        let Some(terminal) = &self.terminal else {
            // Another process stopped it, and lets it go on.
            return Ok(());
        };
        if terminal.child_stopped(by)? {
            self.is_stopped = false;
            self.child.signal(Signal::SIGCONT)?;
        }
        Ok(())
    }

    /// This program goes on after a stop, in which nothing renewed the lease.
    fn goes_on(&mut self) -> Result<(), Failure> {
        if !self.is_stopped || !self.lease.is_valid() {
            // A lease that was lost ends the command, which is awaited anyway.
            return Ok(());
        }
        self.is_stopped = false;
        self.child.signal(Signal::SIGCONT)
    }

    /// Waits for the processes that the command has started, which have no lock either.
    async fn until_the_group_ends(&mut self, killed_at: Instant) -> Result<(), Failure> {
        while self.child.has_group() {
            if Instant::now() >= killed_at {
                return self.child.signal(Signal::SIGKILL);
            }
            tokio::select! {
                () = sleep(LOOK) => {}
                signal = self.signals.next() => self.child.signal(signal)?,
            }
        }
        Ok(())
    }
}
