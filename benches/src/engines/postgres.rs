//! `PostgreSQL`.

use lockattr_tests::postgres::PostgresServer;

use super::{Engine, Server, Site};
use crate::candidate::Candidate;
use crate::peers::TABLE;

/// The server's own defaults, instead of what the tests set.
const DEFAULTS: [&str; 6] = [
    "-c",
    "fsync=on",
    "-c",
    "shared_buffers=128MB",
    "-c",
    "autovacuum_naptime=1min",
];

impl Server for PostgresServer {
    fn cpu_seconds(&self) -> f64 {
        self.processor_time().as_secs_f64()
    }
}

pub(super) fn durable() -> Engine {
    let candidates = [Candidate::Lockattr, Candidate::Advisory, Candidate::Table];
    start("", &DEFAULTS, &candidates)
}

/// Nothing of an advisory lock is written, so it is not measured again.
pub(super) fn asynchronous() -> Engine {
    let args = [&DEFAULTS[..], &["-c", "synchronous_commit=off"]].concat();
    let candidates = [Candidate::Lockattr, Candidate::Table];
    start(" with synchronous_commit = off", &args, &candidates)
}

fn start(how: &str, args: &[&str], candidates: &[Candidate]) -> Engine {
    let server = PostgresServer::start_with(args);
    server.execute(TABLE);
    let version: String = server.query("show server_version")[0].get(0);
    let version = version.split(' ').next().unwrap_or_default();
    let site = |candidate: &Candidate| Site {
        candidate: *candidate,
        url: server.url(),
    };
    Engine {
        name: format!("PostgreSQL {version}{how}"),
        sites: candidates.iter().map(site).collect(),
        server: Box::new(server),
    }
}
