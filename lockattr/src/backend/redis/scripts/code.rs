//! What the script calls an attempt, and which attempts it gets together.

use crate::backend::{Attempt, Op};
use crate::mode::Mode;

/// The kinds of attempts that the script knows, in the order of execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Code {
    /// A release that does nothing else.
    Release,
    ReleaseUnknown,
    ReleaseShare,
    Renew,
    RenewShare,
    Reserve,
    Acquire,
    /// An acquire with a least token.
    AcquireFrom,
    AcquireShare,
}

impl Code {
    pub(super) fn of(attempt: &Attempt) -> Self {
        let is_share = !attempt.mode.is_exclusive();
        match attempt.op {
            Op::Acquire { .. } if is_share => Self::AcquireShare,
            Op::Renew { .. } if is_share => Self::RenewShare,
            Op::Release { .. } if is_share => Self::ReleaseShare,
            Op::Acquire { .. } if attempt.least_token > 0 => Self::AcquireFrom,
            Op::Acquire { .. } => Self::Acquire,
            Op::Renew { .. } => Self::Renew,
            Op::Reserve { .. } => Self::Reserve,
            Op::Release {
                leave_queue: false,
                tombstone: None,
                keep: None,
            } => Self::Release,
            Op::Release { .. } => Self::ReleaseUnknown,
        }
    }

    /// Acquires of all kinds stay in the order in which they were made: first come, first served.
    pub(super) fn turn(self) -> Self {
        match self {
            Self::AcquireFrom | Self::AcquireShare => Self::Acquire,
            other => other,
        }
    }

    pub(super) fn letter(self) -> &'static str {
        match self {
            Self::Acquire => "a",
            Self::AcquireFrom => "f",
            Self::Renew => "n",
            Self::Reserve => "t",
            Self::Release => "r",
            Self::ReleaseUnknown => "x",
            Self::AcquireShare => "s",
            Self::RenewShare => "u",
            Self::ReleaseShare => "v",
        }
    }

    /// Returns how many names an attempt declares.
    pub(super) fn names(self) -> usize {
        match self {
            Self::Acquire | Self::AcquireFrom | Self::AcquireShare => 4,
            _ => 1,
        }
    }
}

/// Whether the script gets both attempts in one group.
pub(super) fn is_alike(one: &Attempt, other: &Attempt) -> bool {
    match Code::of(one) {
        Code::Acquire | Code::AcquireFrom | Code::AcquireShare => {
            one.op == other.op
                && one.mode == other.mode
                && one.claim == other.claim
                && one.label == other.label
                && one.least_token == other.least_token
        }
        Code::Renew | Code::RenewShare | Code::Reserve => {
            Code::of(one) == Code::of(other)
                && one.op == other.op
                && one.least_token == other.least_token
        }
        code => code == Code::of(other),
    }
}

/// Returns the mode as the script writes it, and the weight, for an owner that may have the key beside
/// others.
pub(super) fn share(mode: Mode) -> Option<(String, u32)> {
    match mode {
        Mode::Exclusive => None,
        Mode::Shared => Some(("s".to_owned(), 1)),
        Mode::Permits { permits, weight } => Some((format!("p{permits}"), weight)),
    }
}
