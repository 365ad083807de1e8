//! What an ensemble can and cannot promise.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use lockattr::{Diagnosis, Finding, Severity, Topic};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tracing::debug;

use crate::dialer::Dialer;

/// What a server tells of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct About {
    version: String,
    mode: String,
}

pub(crate) async fn examine(dialer: Dialer) -> Diagnosis {
    let hosts = dialer.ensemble.hosts.clone();
    let mut servers = Vec::new();
    for host in &hosts {
        let said = answered(host, dialer.patience.response, srvr(host)).await;
        servers.push((host, said.as_deref().and_then(About::read)));
    }
    let diagnosis = Diagnosis::of(match hosts.len() {
        1 => "ZooKeeper, one server named".to_owned(),
        count => format!("ZooKeeper, {count} servers named"),
    });
    let mut diagnosis = diagnosis.with(deployment(&servers));
    for (host, about) in &servers {
        diagnosis = diagnosis.with(server(about.as_ref()).at(host.as_str()));
    }
    diagnosis = sessions(diagnosis, &dialer).await;
    diagnosis.with(
        Finding::new(
            Severity::Unknown,
            Topic::Persistence,
            "whether forceSync=no is set cannot be asked",
        )
        .with_remedy(
            "leave forceSync as it is: without it, servers that lose power together grant twice",
        ),
    )
}

/// What a server answers in time.
async fn answered<T>(
    host: &str,
    within: Duration,
    asking: impl Future<Output = std::io::Result<T>>,
) -> Option<T> {
    match tokio::time::timeout(within, asking).await {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(error)) => {
            debug!(host, %error, "a server of the ensemble does not answer");
            None
        }
        Err(_) => {
            debug!(host, "a server of the ensemble does not answer in time");
            None
        }
    }
}

fn deployment(servers: &[(&String, Option<About>)]) -> Finding {
    let modes: Vec<&str> = servers
        .iter()
        .filter_map(|(_, about)| Some(about.as_ref()?.mode.as_str()))
        .collect();
    if modes.contains(&"standalone") {
        let seen = "a single server: without it, no lock is granted or renewed";
        let limit = Finding::new(Severity::Limit, Topic::Deployment, seen);
        return limit.with_remedy("an ensemble of three or five servers");
    }
    if modes.is_empty() {
        let seen = "no server tells its role";
        return Finding::new(Severity::Unknown, Topic::Deployment, seen);
    }
    if servers.len() == 1 {
        let seen = "the URL names one server of an ensemble: when it is down, no other is asked";
        let warning = Finding::new(Severity::Warning, Topic::Deployment, seen);
        return warning.with_remedy("name all servers, with commas between them");
    }
    let seen = format!("an ensemble, whose servers say: {}", modes.join(", "));
    Finding::new(Severity::Good, Topic::Deployment, seen)
}

fn server(about: Option<&About>) -> Finding {
    let Some(About { version, mode }) = about else {
        let seen =
            "it does not answer to `srvr`: it is down, or 4lw.commands.whitelist has no srvr";
        return Finding::new(Severity::Unknown, Topic::Version, seen);
    };
    if mode == "read-only" {
        let seen = format!("{version}, read-only: it is cut off from the majority");
        return Finding::new(Severity::Warning, Topic::Deployment, seen);
    }
    let numbers: Vec<u32> = version
        .split(['.', '-', ','])
        .map_while(|part| part.parse().ok())
        .collect();
    if numbers.as_slice() < [3, 5, 3].as_slice() {
        let seen = format!("{version} has no container nodes");
        return Finding::new(Severity::Broken, Topic::Version, seen)
            .with_remedy("ZooKeeper 3.5.3 or newer");
    }
    Finding::new(Severity::Good, Topic::Version, format!("{version}, {mode}"))
}

/// The sessions that one server allows.
struct Sessions {
    shortest: Duration,
    longest: Duration,
    took: Duration,
}

/// Asks for the shortest and the longest session: that is how a client learns what there is.
async fn sessions(diagnosis: Diagnosis, dialer: &Dialer) -> Diagnosis {
    let hosts = &dialer.ensemble.hosts;
    let asked = hosts.iter().map(|host| async move {
        let asked = async {
            let begun = Instant::now();
            let shortest = negotiate(host, 1).await?;
            // A session begins and ends with a transaction each; and the connection is new.
            let took = begun.elapsed() / 4;
            let longest = negotiate(host, i32::MAX).await?;
            Ok(Sessions {
                shortest,
                longest,
                took,
            })
        };
        answered(host, dialer.patience.response * 2, asked).await
    });
    let asked: Vec<Sessions> = join_all(asked).await.into_iter().flatten().collect();
    let findings = judge_sessions(&asked);
    let diagnosis = findings.into_iter().fold(diagnosis, Diagnosis::with);
    match asked.iter().map(|server| server.took).min() {
        Some(took) => diagnosis.with_round_trip(took),
        None => diagnosis,
    }
}

fn judge_sessions(servers: &[Sessions]) -> Vec<Finding> {
    let shortest = servers.iter().map(|server| server.shortest).max();
    let all_longest = || servers.iter().map(|server| server.longest);
    let (Some(shortest), Some(longest)) = (shortest, all_longest().min()) else {
        let seen = "which sessions there may be is not known";
        return vec![Finding::new(Severity::Unknown, Topic::IdleTimeout, seen)];
    };
    let seen = format!(
        "sessions of {shortest:?} to {longest:?}: a ttl is at most {:?}, and others wait at least {shortest:?} \
         for a process that is gone",
        Dialer::longest_ttl(longest)
    );
    let mut findings = vec![Finding::new(Severity::Limit, Topic::IdleTimeout, seen)];
    if all_longest().max() > Some(longest) {
        let seen = "the servers differ in maxSessionTimeout: a session that changes to the server with the lower \
                    one may end before the longest leases in it do, and another process has their keys then";
        let warning = Finding::new(Severity::Warning, Topic::IdleTimeout, seen);
        findings.push(warning.with_remedy("the same maxSessionTimeout on all servers"));
    }
    findings
}

/// Opens a session by hand, since the client library would not wait for longer than the session may
/// last; and ends it at once. Returns the timeout that is granted.
async fn negotiate(host: &str, millis: i32) -> std::io::Result<Duration> {
    let mut stream = TcpStream::connect(host).await?;
    let mut hello = Vec::with_capacity(49);
    hello.extend(45_i32.to_be_bytes());
    // The version of the protocol, the last transaction that was seen, the timeout, no session yet, an
    // empty password of 16 bytes, and not read-only.
    hello.extend(0_i32.to_be_bytes());
    hello.extend(0_i64.to_be_bytes());
    hello.extend(millis.to_be_bytes());
    hello.extend(0_i64.to_be_bytes());
    hello.extend(16_i32.to_be_bytes());
    hello.extend([0; 17]);
    stream.write_all(&hello).await?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await?;
    // `closeSession`, after the length and the number of the request.
    let mut bye = Vec::with_capacity(12);
    for word in [8_i32, 1, -11] {
        bye.extend(word.to_be_bytes());
    }
    stream.write_all(&bye).await?;
    // Until the server has heard it.
    stream.read_to_end(&mut Vec::new()).await?;
    let millis = u32::from_be_bytes([answer[8], answer[9], answer[10], answer[11]]);
    Ok(Duration::from_millis(millis.into()))
}

/// Asks for the command of four letters.
async fn srvr(host: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(host).await?;
    stream.write_all(b"srvr").await?;
    let mut said = String::new();
    stream.take(64 << 10).read_to_string(&mut said).await?;
    Ok(said)
}

impl About {
    fn read(said: &str) -> Option<Self> {
        let after = |beginning: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(beginning));
            Some(line?.trim().to_owned())
        };
        let version = after("Zookeeper version:")?;
        Some(Self {
            version: version.split([',', ' ']).next()?.to_owned(),
            mode: after("Mode:")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_read() {
        let said = "Zookeeper version: 3.8.0--1, built on 2023-10-11 08:43 UTC\nLatency \
                    min/avg/max: 0/0.0/0\nMode: standalone\nNode count: 5\n";
        let about = About::read(said).unwrap();
        assert_eq!(
            (about.version.as_str(), about.mode.as_str()),
            ("3.8.0--1", "standalone")
        );
        assert!(server(Some(&about)).to_string().contains("3.8.0"));
        assert_eq!(
            About::read("srvr is not executed because it is not in the whitelist."),
            None
        );
        let old = About {
            version: "3.4.14-4c25d480".to_owned(),
            mode: "follower".to_owned(),
        };
        assert!(server(Some(&old)).to_string().contains("container"));
    }
}
