//! Why the program could not do what it was asked for.

use std::error::Error as _;
use std::io;

use lockattr::Error;

use crate::exit::Exit;
use crate::plain::plain;

/// A failure, as one line for people and as an exit code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Lock(#[from] Error),
    #[error("{0}")]
    Usage(String),
    #[error("cannot write the output")]
    Output(#[source] io::Error),
    #[error("cannot {what}")]
    System {
        what: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot execute `{program}`")]
    Command {
        program: String,
        #[source]
        source: io::Error,
    },
}

impl Failure {
    pub(crate) fn usage(reason: impl Into<String>) -> Self {
        Self::Usage(reason.into())
    }

    pub(crate) fn system(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::System {
            what: what.into(),
            source: source.into(),
        }
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Lock(error) => exit_of(error),
            Self::Usage(_) => Exit::USAGE,
            // Its reader has seen enough, as in `lockattr ls | head`.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::SUCCESS,
            Self::Output(_) => Exit::IO_ERROR,
            Self::System { .. } => Exit::OS_ERROR,
            Self::Command { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Exit::NOT_FOUND
            }
            Self::Command { .. } => Exit::NOT_EXECUTABLE,
        }
    }

    /// Says it on standard error, on one line.
    pub(crate) fn report(&self) {
        if self.exit() != Exit::SUCCESS {
            say(&self.line());
        }
    }

    pub(crate) fn line(&self) -> String {
        let mut line = self.to_string();
        let mut source = self.source();
        while let Some(error) = source {
            line += &format!(": {error}");
            source = error.source();
        }
        if let Self::Lock(Error::Busy {
            holder: Some(holder),
            ..
        }) = self
        {
            line += &format!(" (held by {holder})");
        }
        line
    }
}

/// Says something on standard error, as one line.
pub(crate) fn say(line: &str) {
    anstream::eprintln!("lockattr: {}", plain(line));
}

fn exit_of(error: &Error) -> Exit {
    match error {
        Error::Busy { .. } | Error::Missed { .. } => Exit::BUSY,
        Error::Lost { .. } => Exit::LOST,
        Error::System { .. } => Exit::OS_ERROR,
        // What the server is, no option changes.
        Error::Config { setting, .. } if *setting != "server" => Exit::USAGE,
        Error::InvalidKey { .. } | Error::OtherMode { .. } => Exit::USAGE,
        _ => Exit::UNAVAILABLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_sources_and_no_control_characters() {
        let source = io::Error::other("line one\nline two");
        let failure = Failure::system("do it", source);
        assert_eq!(plain(&failure.line()), r"cannot do it: line one\nline two");
        assert_eq!(failure.exit(), Exit::OS_ERROR);
    }

    #[test]
    fn a_reader_that_has_seen_enough_is_no_failure() {
        let failure = Failure::Output(io::ErrorKind::BrokenPipe.into());
        assert_eq!(failure.exit(), Exit::SUCCESS);
        let failure = Failure::Output(io::ErrorKind::StorageFull.into());
        assert_eq!(failure.exit(), Exit::IO_ERROR);
    }
}
