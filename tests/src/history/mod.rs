//! What processes did, when, and whether that was allowed.
//!
//! Each process appends to a file of its own with one `write` a record, so that what it recorded
//! outlives a `kill -9`. All read one clock (`CLOCK_BOOTTIME`), which is the leases' clock too, so
//! records of different processes can be compared without allowance for skew. The [`check`]s are
//! after Jepsen's: the history is judged from outside, by somebody who knows nothing of the lock.

mod calls;
mod check;
mod excerpt;
mod order;
mod record;
mod recorder;
#[cfg(test)]
mod tests;

pub use check::{Rules, Summary, Verdict, Violation, check};
pub use record::{Event, Record, now};
pub use recorder::{Recorder, read_all};
