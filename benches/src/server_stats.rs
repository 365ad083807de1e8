//! What the server and this process had to do.

use std::fs;

use lockattr_tests::RedisServer;

use crate::candidate::Candidate;

/// How many commands of a candidate the server has executed.
pub(crate) fn commands_sent(server: &RedisServer, candidate: Candidate) -> u64 {
    let info: String = redis::cmd("INFO")
        .arg("commandstats")
        .query(&mut server.connection())
        .expect("the server is there");
    let calls = |command: &str| {
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        let digits = line.and_then(|line| line.split(',').next());
        digits.map_or(0, |digits| digits.parse::<u64>().expect("a number"))
    };
    candidate.commands().iter().map(|name| calls(name)).sum()
}

/// The processor time of this process, in seconds.
pub(crate) fn cpu_seconds() -> f64 {
    /// Linux counts processor time in hundredths of a second for every program.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields = stat.rsplit(')').next().expect("a name in parentheses");
    let ticks: f64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<f64>().expect("a number"))
        .sum();
    ticks / TICKS_PER_SECOND
}

/// The memory that this process has in use.
pub(crate) fn resident_bytes() -> f64 {
    const PAGE: f64 = 4096.0;
    let sizes = fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = sizes.split_whitespace().nth(1).expect("the second field");
    pages.parse::<f64>().expect("a number") * PAGE
}
