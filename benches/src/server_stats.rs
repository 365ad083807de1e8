//! The work of the server and of this process.

use std::fs;

use lockattr_tests::{RedisServer, processor_time};

use crate::candidate::Candidate;

/// The server's work for a candidate, in total or for each pair.
pub(crate) struct ServerWork {
    pub(crate) commands: f64,
    /// In microseconds, without the time to read and write.
    pub(crate) in_commands: f64,
    /// In microseconds, in total.
    pub(crate) cpu: f64,
}

impl ServerWork {
    /// Returns the work since `before` for each of these pairs.
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub(crate) fn since(&self, before: &Self, pairs: usize) -> Self {
        let pairs = pairs as f64;
        Self {
            commands: (self.commands - before.commands) / pairs,
            in_commands: (self.in_commands - before.in_commands) / pairs,
            cpu: (self.cpu - before.cpu) / pairs,
        }
    }
}

/// Returns the server's work for a candidate since the server started.
pub(crate) fn server_work(server: &RedisServer, candidate: Candidate) -> ServerWork {
    let (stats, cpu) = (info(server, "commandstats"), info(server, "cpu"));
    let sum = |field| {
        let commands = candidate.commands().iter();
        commands.map(|name| of_command(&stats, name, field)).sum()
    };
    let seconds: f64 = ["used_cpu_sys:", "used_cpu_user:"]
        .iter()
        .map(|field| {
            let line = cpu.lines().find_map(|line| line.strip_prefix(field));
            line.expect("a field of INFO")
                .parse::<f64>()
                .expect("a number")
        })
        .sum();
    ServerWork {
        commands: sum("calls="),
        in_commands: sum("usec="),
        cpu: seconds * 1e6,
    }
}

/// Returns how many commands of a candidate the server has executed.
pub(crate) fn commands_sent(server: &RedisServer, candidate: Candidate) -> u64 {
    let stats = info(server, "commandstats");
    let commands = candidate.commands().iter();
    let sum: f64 = commands
        .map(|name| of_command(&stats, name, "calls="))
        .sum();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of commands"
    )]
    let sum = sum as u64;
    sum
}

fn info(server: &RedisServer, section: &str) -> String {
    redis::cmd("INFO")
        .arg(section)
        .query(&mut server.connection())
        .expect("the server is there")
}

fn of_command(stats: &str, command: &str, field: &str) -> f64 {
    let line = stats
        .lines()
        .find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:")));
    let figure = line.and_then(|line| line.split(',').find_map(|part| part.strip_prefix(field)));
    figure.map_or(0.0, |figure| figure.parse().expect("a number"))
}

/// Returns the processor time of this process, in seconds, with that of its children that have ended.
pub(crate) fn cpu_seconds() -> f64 {
    let time = processor_time(std::process::id());
    time.expect("this process is there").as_secs_f64()
}

/// Returns the memory that this process uses.
pub(crate) fn resident_bytes() -> f64 {
    const PAGE: f64 = 4096.0;
    let sizes = fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = sizes.split_whitespace().nth(1).expect("the second field");
    pages.parse::<f64>().expect("a number") * PAGE
}
