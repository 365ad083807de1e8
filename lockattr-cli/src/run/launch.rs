//! The step between this program and the command: it lets the command end with this program.
//!
//! Only a process itself can ask to be told when its parent ends, and code between fork and exec would be unsafe.
//! So this program starts itself once more, asks, and becomes the command.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use clap::Args;

use super::child::not_executed;
use crate::failure::Failure;

pub(crate) const NAME: &str = "__launch";

/// The arguments of the step.
#[derive(Args)]
pub(crate) struct Launch {
    /// The process that ends the command when it ends itself
    parent: u32,
    /// The command and its arguments
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Returns what to start for a command.
#[cfg(target_os = "linux")]
pub(super) fn command(command: &[OsString]) -> Command {
    // Also where the file of this program was replaced or removed.
    let myself = "/proc/self/exe";
    if !std::path::Path::new(myself).exists() {
        return directly(command);
    }
    let mut process = Command::new(myself);
    process
        .arg0("lockattr")
        .args([NAME, &std::process::id().to_string(), "--"])
        .args(command);
    process
}

/// Returns what to start for a command.
#[cfg(not(target_os = "linux"))]
pub(super) fn command(command: &[OsString]) -> Command {
    directly(command)
}

fn directly(command: &[OsString]) -> Command {
    let mut process = Command::new(&command[0]);
    process.args(&command[1..]);
    process
}

impl Launch {
    /// Becomes the command. Returns why it cannot.
    pub(crate) fn execute(&self) -> Failure {
        #[cfg(target_os = "linux")]
        {
            use nix::sys::prctl::set_pdeathsig;
            use nix::sys::signal::Signal;

            if let Err(errno) = set_pdeathsig(Signal::SIGTERM) {
                return Failure::system("let the command end with this program", errno);
            }
        }
        if std::os::unix::process::parent_id() != self.parent {
            // It ended before it could be watched.
            let gone = std::io::Error::from(nix::errno::Errno::ESRCH);
            return Failure::system(
                "start the command: the process that has the lock ended",
                gone,
            );
        }
        not_executed(&self.command[0], directly(&self.command).exec())
    }
}
