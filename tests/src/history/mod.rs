//! Records what processes did and when, and checks whether that was allowed.
//!
//! Each process appends to its own file with one `write` a record, so that the record outlives a
//! `kill -9`. All read one clock (`CLOCK_BOOTTIME`), which is also the leases' clock, so records of
//! different processes can be compared without allowance for skew. The [`check`]s follow Jepsen's:
//! they judge the history from outside, without knowledge of the lock.

mod calls;
mod check;
mod excerpt;
mod order;
mod record;
mod recorder;
#[cfg(test)]
mod tests;
mod together;

pub use check::{Rules, Summary, Verdict, Violation, check};
pub use record::{Event, Record, now};
pub use recorder::{Recorder, read_all};
pub use together::OF_OTHER_KEY;
