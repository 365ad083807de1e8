//! One record, and its line in the file.

use std::fmt;
use std::str::{FromStr, SplitWhitespace};
use std::time::Duration;

use lockattr::Mode;
use rustix::time::{ClockId, clock_gettime};

/// Returns nanoseconds of the clock that all processes of this machine share.
#[must_use]
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// An event in a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// On the clock of [`now`].
    pub at: u64,
    /// The process' number, counted by the runner; a restarted process has another number.
    pub process: u32,
    /// The call's number, counted by its process; 0 for events of the process itself.
    pub call: u64,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The process has its pool.
    Ready,
    /// The call begins.
    Requested {
        /// The key.
        key: u32,
        /// How long it may wait.
        wait: Duration,
        /// Beside whom it may have the key.
        mode: Mode,
    },
    /// The server has told the process that it waits for the key in the server's queue.
    Queued {
        /// The key.
        key: u32,
    },
    /// The body begins.
    Granted {
        /// Its fencing token.
        token: u64,
        /// When the lease ends for its holder unless it is renewed.
        valid_until: u64,
    },
    /// The body sees that its lease is valid.
    Seen {
        /// When the lease ends, as known then.
        valid_until: u64,
    },
    /// The body is about to write to the fenced store.
    Writing,
    /// The store has answered.
    Written {
        /// Whether it took the write.
        accepted: bool,
    },
    /// The body has ended, or was dropped; the lease is not released yet.
    Left,
    /// The call is over, and its lease with it.
    Released,
    /// The call failed; a word for the reason.
    Failed(String),
    /// The caller has dropped the call.
    Cancelled,
    /// The process is about to be stopped (SIGSTOP).
    Paused,
    /// The process goes on.
    Resumed,
    /// The process is about to be killed.
    Killed,
    /// The process ended by itself.
    Ended,
    /// Something is done to the server or the network.
    Fault(String),
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            at, process, call, ..
        } = self;
        write!(f, "{at} {process} {call} {}", self.event)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Requested { key, wait, mode } => {
                write!(f, "requested {key} {} ", wait.as_nanos())?;
                match mode {
                    Mode::Shared => f.write_str("shared"),
                    Mode::Permits {
                        permits, weight, ..
                    } => write!(f, "permits {permits} {weight}"),
                    _ => f.write_str("exclusive"),
                }
            }
            Self::Queued { key } => write!(f, "queued {key}"),
            Self::Granted { token, valid_until } => write!(f, "granted {token} {valid_until}"),
            Self::Seen { valid_until } => write!(f, "seen {valid_until}"),
            Self::Writing => f.write_str("writing"),
            Self::Written { accepted: true } => f.write_str("accepted"),
            Self::Written { accepted: false } => f.write_str("rejected"),
            Self::Left => f.write_str("left"),
            Self::Released => f.write_str("released"),
            Self::Failed(why) => write!(f, "failed {why}"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Paused => f.write_str("paused"),
            Self::Resumed => f.write_str("resumed"),
            Self::Killed => f.write_str("killed"),
            Self::Ended => f.write_str("ended"),
            Self::Fault(what) => write!(f, "fault {what}"),
        }
    }
}

/// The error for a line that is not a record.
#[derive(Debug)]
pub struct NoRecord;

impl FromStr for Record {
    type Err = NoRecord;

    fn from_str(line: &str) -> Result<Self, NoRecord> {
        let mut words = line.split_whitespace();
        let record = Self {
            at: number(&mut words)?,
            process: number(&mut words)?,
            call: number(&mut words)?,
            event: event(&mut words)?,
        };
        Ok(record)
    }
}

fn event(words: &mut SplitWhitespace<'_>) -> Result<Event, NoRecord> {
    Ok(match words.next().ok_or(NoRecord)? {
        "ready" => Event::Ready,
        "requested" => Event::Requested {
            key: number(words)?,
            wait: Duration::from_nanos(number(words)?),
            mode: mode(words)?,
        },
        "queued" => Event::Queued {
            key: number(words)?,
        },
        "granted" => Event::Granted {
            token: number(words)?,
            valid_until: number(words)?,
        },
        "seen" => Event::Seen {
            valid_until: number(words)?,
        },
        "writing" => Event::Writing,
        "accepted" => Event::Written { accepted: true },
        "rejected" => Event::Written { accepted: false },
        "left" => Event::Left,
        "released" => Event::Released,
        "failed" => Event::Failed(words.next().ok_or(NoRecord)?.to_owned()),
        "cancelled" => Event::Cancelled,
        "paused" => Event::Paused,
        "resumed" => Event::Resumed,
        "killed" => Event::Killed,
        "ended" => Event::Ended,
        "fault" => Event::Fault(words.collect::<Vec<_>>().join(" ")),
        _ => return Err(NoRecord),
    })
}

fn mode(words: &mut SplitWhitespace<'_>) -> Result<Mode, NoRecord> {
    Ok(match words.next().ok_or(NoRecord)? {
        "exclusive" => Mode::Exclusive,
        "shared" => Mode::Shared,
        "permits" => Mode::permits(number(words)?, number(words)?),
        _ => return Err(NoRecord),
    })
}

fn number<T: FromStr>(words: &mut SplitWhitespace<'_>) -> Result<T, NoRecord> {
    words
        .next()
        .and_then(|word| word.parse().ok())
        .ok_or(NoRecord)
}
