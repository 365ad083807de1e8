//! The codes that the program exits with.

use std::process::ExitCode;

/// How the program exits. The names are those of `sysexits.h`, as far as it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exit(u8);

impl Exit {
    pub(crate) const SUCCESS: Self = Self(0);
    /// There was nothing to release, or there are warnings.
    pub(crate) const NOTHING: Self = Self(1);
    pub(crate) const USAGE: Self = Self(64);
    pub(crate) const UNAVAILABLE: Self = Self(69);
    /// The lease was lost.
    pub(crate) const LOST: Self = Self(70);
    pub(crate) const OS_ERROR: Self = Self(71);
    pub(crate) const IO_ERROR: Self = Self(74);
    /// Another holder has the lock.
    pub(crate) const BUSY: Self = Self(75);
    pub(crate) const NOT_EXECUTABLE: Self = Self(126);
    pub(crate) const NOT_FOUND: Self = Self(127);

    /// As the command did.
    pub(crate) fn as_command(code: i32) -> Self {
        // A process has eight bits for its code.
        Self(u8::try_from(code & 0xff).unwrap_or(u8::MAX))
    }

    /// As a shell says of a process that a signal ended.
    pub(crate) fn by_signal(signal: i32) -> Self {
        Self::as_command(128 + signal)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.0.into()
    }
}
