//! The command, in a process group of its own.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt as _;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustix::process::{WaitOptions, WaitStatus, waitpid};
use tokio::signal::unix::{self, SignalKind};

use super::launch;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::signals::cannot_listen;

/// A process that was started, and the group that it leads.
pub(super) struct Child {
    group: Pid,
    changes: unix::Signal,
}

/// What the system tells of a process. Signals are numbers: there are more than have names.
pub(super) enum Change {
    Ended(Exit),
    Stopped(i32),
}

impl Child {
    pub(super) fn spawn(command: &[OsString], key: &str, token: u64) -> Result<Self, Failure> {
        // Before the process is there, so that no change of it is missed.
        let changes = unix::signal(SignalKind::child()).map_err(cannot_listen)?;
        let mut process = launch::command(command);
        process
            .env("LOCKATTR_KEY", key)
            .env("LOCKATTR_TOKEN", token.to_string())
            .process_group(0);
        let process = process
            .spawn()
            .map_err(|source| not_executed(&command[0], source))?;
        let id = i32::try_from(process.id())
            .map_err(|_| Failure::system("watch the command", io::Error::from(Errno::EOVERFLOW)))?;
        Ok(Self {
            group: Pid::from_raw(id),
            changes,
        })
    }

    pub(super) fn group(&self) -> Pid {
        self.group
    }

    /// Waits until the process ends or is stopped. Cancel safe.
    pub(super) async fn changed(&mut self) -> Result<Change, Failure> {
        loop {
            // It names one process, so no other child is waited for.
            let process = rustix::process::Pid::from_raw(self.group.as_raw());
            let status = waitpid(process, WaitOptions::NOHANG | WaitOptions::UNTRACED)
                .map_err(|errno| Failure::system("watch the command", errno))?;
            if let Some(change) = status.and_then(|(_, status)| Change::of(status)) {
                return Ok(change);
            }
            self.changes.recv().await;
        }
    }

    /// Sends a signal to the whole group. One that has ended needs none.
    pub(super) fn signal(&self, signal: Signal) -> Result<(), Failure> {
        match killpg(self.group, signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => {
                let what = format!("send {signal} to the command's process group");
                Err(Failure::system(what, errno))
            }
        }
    }

    /// Returns whether a process of the group is left.
    pub(super) fn has_group(&self) -> bool {
        killpg(self.group, None) != Err(Errno::ESRCH)
    }
}

impl Change {
    fn of(status: WaitStatus) -> Option<Self> {
        let exited = status.exit_status().map(Exit::as_command);
        let killed = status.terminating_signal().map(Exit::by_signal);
        let ended = exited.or(killed).map(Self::Ended);
        ended.or_else(|| status.stopping_signal().map(Self::Stopped))
    }
}

pub(super) fn not_executed(program: &OsStr, source: io::Error) -> Failure {
    let program = program.to_string_lossy().into_owned();
    Failure::Command { program, source }
}
