//! The signals that do not end this process at once.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use nix::sys::signal::Signal;
use tokio::signal::unix::{self, SignalKind};

use crate::failure::Failure;

/// Those by which a person or a system ends a process.
const ENDING: [Signal; 4] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
];
/// Those that would end this process, and may mean something else to a command.
const OTHERS: [Signal; 2] = [Signal::SIGUSR1, Signal::SIGUSR2];

/// Signals that no longer do what they do by default.
pub(crate) struct Signals(Vec<(Signal, unix::Signal)>);

impl Signals {
    /// Those that a command gets. A signal that is ignored stays so, here and in the command: `nohup` and
    /// shells without job control rely on that.
    pub(crate) fn forwarded() -> Result<Self, Failure> {
        Self::unless_ignored(ENDING.into_iter().chain(OTHERS))
    }

    /// Those that mean the end. A signal that is ignored stays so.
    pub(crate) fn ending() -> Result<Self, Failure> {
        Self::unless_ignored(ENDING)
    }

    fn unless_ignored(signals: impl IntoIterator<Item = Signal>) -> Result<Self, Failure> {
        let (ignored, signals) = (ignored(), signals.into_iter());
        Self::of(signals.filter(|signal| ignored & bit(*signal) == 0))
    }

    pub(crate) fn of(signals: impl IntoIterator<Item = Signal>) -> Result<Self, Failure> {
        let streams = signals.into_iter().map(|signal| {
            let kind = SignalKind::from_raw(signal as i32);
            Ok((signal, unix::signal(kind).map_err(cannot_listen)?))
        });
        streams.collect::<Result<_, Failure>>().map(Self)
    }

    /// Waits for the next one. Cancel safe.
    pub(crate) async fn next(&mut self) -> Signal {
        poll_fn(|cx| {
            let mut streams = self.0.iter_mut();
            let came = streams.find_map(|(signal, stream)| match stream.poll_recv(cx) {
                Poll::Ready(Some(())) => Some(*signal),
                _ => None,
            });
            came.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

pub(crate) fn cannot_listen(source: io::Error) -> Failure {
    Failure::system("listen to signals", source)
}

fn bit(signal: Signal) -> u64 {
    1 << (signal as i32 - 1)
}

/// The signals that this process ignores since its start, as far as the system says.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored_in(&status)
}

fn ignored_in(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read() {
        let status = "SigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n";
        let ignored = ignored_in(status);
        assert_ne!(ignored & bit(Signal::SIGHUP), 0);
        assert_ne!(ignored & bit(Signal::SIGPIPE), 0);
        assert_eq!(ignored & bit(Signal::SIGTERM), 0);
        assert_eq!(ignored_in("no mask"), 0);
    }
}
