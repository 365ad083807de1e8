//! The terminal that this program and the command share.
//!
//! A terminal lets one process group read, the one in the foreground, and sends Ctrl-C to it. The command begins in
//! the background, so Ctrl-C comes to this program, which forwards it. A command that wants to read is stopped by
//! the system; then it gets the terminal, and Ctrl-C goes straight to it.

use std::fs::File;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp};

use crate::failure::Failure;

/// The terminal from which this program was started.
pub(super) struct Terminal {
    device: File,
    child: Pid,
}

impl Terminal {
    /// Returns `None` for a program that has no terminal, such as a service.
    pub(super) fn of(child: Pid) -> Option<Self> {
        let device = File::options().read(true).write(true).open("/dev/tty");
        Some(Self {
            device: device.ok()?,
            child,
        })
    }

    /// Does what a shell does when a child is stopped. Returns whether the child may go on at once.
    pub(super) fn child_stopped(&self, by: i32) -> Result<bool, Failure> {
        let Some(front) = self.front()? else {
            return Ok(false);
        };
        let wants_it = by == Signal::SIGTTIN as i32 || by == Signal::SIGTTOU as i32;
        if wants_it && front == getpgrp() {
            self.give_to(self.child)?;
            return Ok(true);
        }
        self.take_back()?;
        // The shell has to see a stopped job: all of it, for a script that waits for this program is a part.
        killpg(getpgrp(), Signal::SIGSTOP).map_err(|errno| Failure::system("stop", errno))?;
        Ok(false)
    }

    /// Takes the terminal from the child, for the program that comes after this one.
    pub(super) fn take_back(&self) -> Result<(), Failure> {
        if self.front()? == Some(self.child) {
            self.give_to(getpgrp())?;
        }
        Ok(())
    }

    /// Returns the group in the foreground. `None` if the terminal was closed.
    fn front(&self) -> Result<Option<Pid>, Failure> {
        match tcgetpgrp(&self.device) {
            Ok(group) => Ok(Some(group)),
            Err(Errno::ENOTTY | Errno::EIO | Errno::ENXIO) => Ok(None),
            Err(errno) => Err(Failure::system("ask for the foreground", errno)),
        }
    }

    fn give_to(&self, group: Pid) -> Result<(), Failure> {
        // A process in the background that does this is stopped, unless it blocks the signal.
        let mut stops = SigSet::empty();
        stops.add(Signal::SIGTTOU);
        let failed = |errno: Errno| Failure::system("change the foreground", errno);
        stops.thread_block().map_err(failed)?;
        let given = tcsetpgrp(&self.device, group);
        stops.thread_unblock().map_err(failed)?;
        match given {
            // The group has ended meanwhile, or the terminal was closed.
            Ok(()) | Err(Errno::ESRCH | Errno::EPERM | Errno::ENOTTY | Errno::EIO) => Ok(()),
            Err(errno) => Err(failed(errno)),
        }
    }
}
