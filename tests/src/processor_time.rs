//! The processor time of a process.

use std::fs;
use std::time::Duration;

/// Returns the processor time that a process has used so far, with that of its children that have ended.
/// `None` if there is no such process.
#[must_use]
pub fn processor_time(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name, which is in brackets: of the process by user and system, of its children by both.
    let (_, rest) = stat.rsplit_once(") ")?;
    let ticks = rest.split(' ').skip(11).take(4);
    let ticks = ticks.filter_map(|it| it.parse::<u64>().ok()).sum::<u64>();
    let per_second = u32::try_from(rustix::param::clock_ticks_per_second()).ok()?;
    Some(Duration::from_secs(ticks) / per_second)
}
