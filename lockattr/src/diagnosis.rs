//! What a lock service can and cannot promise, as it is set up: in words and as data.

use std::fmt;
use std::time::Duration;

/// A lease should last so many round trips: it is renewed after a third of them, and a renewal may have
/// to be tried again.
const ROUND_TRIPS_PER_TTL: u32 = 20;

/// What [`doctor`](crate::doctor()) found. Its [`Display`](fmt::Display) is a report of one screen.
#[derive(Debug, Clone)]
#[must_use = "it says what is wrong with the lock service"]
pub struct Diagnosis {
    place: String,
    deployment: String,
    round_trip: Option<Duration>,
    /// What tells one server from another.
    #[cfg(feature = "redis")]
    identity: Option<String>,
    findings: Vec<Finding>,
}

/// One thing that was looked at.
///
/// Its [`Display`](fmt::Display) is what was seen, and the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was looked at.
    pub topic: Topic,
    /// Which server it is about; `None` for all of them, or for the service as a whole.
    pub server: Option<String>,
    /// What was seen, in words.
    pub seen: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// How bad a [`Finding`] is, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// As it should be.
    Good,
    /// The service cannot promise more, as it is set up. Nothing is wrong.
    Limit,
    /// It could not be read, and nothing is assumed.
    Unknown,
    /// Locks can be lost, or can fail soon. A pool warns of it at start-up, and does not start if it is
    /// [strict](crate::RedisOptions::strict).
    Warning,
    /// Locks do not work. A pool does not start.
    Broken,
}

/// What a [`Finding`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Topic {
    /// What the service consists of.
    Deployment,
    /// The server's version, and what it lacks.
    Version,
    /// What the user may do.
    Rights,
    /// Whether waiters are told of their lease.
    Messages,
    /// Whether the server evicts locks when its memory is full.
    Eviction,
    /// What is left after a restart.
    Persistence,
    /// Replicas, and how far they are behind.
    Replication,
    /// Whether a cluster serves all of its slots.
    Cluster,
    /// The server's clock against that of this machine.
    Clock,
    /// The time for an answer, against the ttl.
    RoundTrip,
    /// Whether the server closes idle connections.
    IdleTimeout,
}

impl Diagnosis {
    /// For a [backend](crate::backend) of your own: a diagnosis without findings, of a deployment in a
    /// few words.
    pub fn of(deployment: impl Into<String>) -> Self {
        Self {
            place: String::new(),
            deployment: deployment.into(),
            round_trip: None,
            #[cfg(feature = "redis")]
            identity: None,
            findings: Vec::new(),
        }
    }

    /// Adds how long the service takes for an answer.
    pub fn with_round_trip(mut self, took: Duration) -> Self {
        self.round_trip = Some(took);
        self
    }

    /// Adds a finding.
    pub fn with(mut self, finding: Finding) -> Self {
        self.findings.push(finding);
        self
    }

    /// The pool's lock service: its URL without the password.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What the service consists of, in a few words.
    pub fn deployment(&self) -> &str {
        &self.deployment
    }

    /// The findings, the worst ones first.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How bad the worst finding is.
    pub fn worst(&self) -> Severity {
        let worst = self.findings.iter().map(|finding| finding.severity).max();
        worst.unwrap_or(Severity::Unknown)
    }

    #[cfg(feature = "redis")]
    pub(crate) fn with_identity(mut self, identity: Option<&str>) -> Self {
        self.identity = identity.map(str::to_owned);
        self
    }

    #[cfg(feature = "redis")]
    pub(crate) fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    #[cfg(feature = "redis")]
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Adds what the pool knows itself: its place, and the shortest ttl that was asked for.
    pub(crate) fn for_pool(mut self, place: &str, shortest_ttl: Duration) -> Self {
        place.clone_into(&mut self.place);
        if let Some(took) = self.round_trip {
            self.findings.push(judge_ttl(took, shortest_ttl));
        }
        // A stable sort, so that what belongs together stays together.
        self.findings
            .sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        self
    }
}

fn judge_ttl(took: Duration, ttl: Duration) -> Finding {
    let least = took.saturating_mul(ROUND_TRIPS_PER_TTL);
    if ttl >= least {
        let seen = format!("{took:.1?} for an answer, {ttl:?} for the shortest ttl");
        return Finding::new(Severity::Good, Topic::RoundTrip, seen);
    }
    let seen = format!(
        "{took:.1?} for an answer is long for a ttl of {ttl:?}: one late renewal loses the lease"
    );
    let remedy = format!("a ttl of at least {least:.0?}");
    Finding::new(Severity::Warning, Topic::RoundTrip, seen).with_remedy(remedy)
}

impl Finding {
    /// For a [backend](crate::backend) of your own. `seen` must hold no password.
    pub fn new(severity: Severity, topic: Topic, seen: impl Into<String>) -> Self {
        Self {
            severity,
            topic,
            server: None,
            seen: seen.into(),
            remedy: None,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Says which server it is about.
    #[must_use]
    pub fn at(mut self, server: impl Into<String>) -> Self {
        self.server = Some(server.into());
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(server) = &self.server {
            write!(f, "{server}: ")?;
        }
        f.write_str(&self.seen)?;
        match &self.remedy {
            Some(remedy) => write!(f, " (remedy: {remedy})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.place, self.deployment)?;
        for finding in &self.findings {
            let (severity, topic) = (finding.severity.to_string(), finding.topic.to_string());
            write!(f, "  {severity:<8} {topic:<12} ")?;
            if let Some(server) = &finding.server {
                write!(f, "{server}: ")?;
            }
            writeln!(f, "{}", finding.seen)?;
            if let Some(remedy) = &finding.remedy {
                writeln!(f, "{:24}-> {remedy}", "")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Good => "good",
            Self::Limit => "limit",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Broken => "BROKEN",
        })
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deployment => "deployment",
            Self::Version => "version",
            Self::Rights => "rights",
            Self::Messages => "messages",
            Self::Eviction => "eviction",
            Self::Persistence => "persistence",
            Self::Replication => "replication",
            Self::Cluster => "cluster",
            Self::Clock => "clock",
            Self::RoundTrip => "round trip",
            Self::IdleTimeout => "idle timeout",
        })
    }
}

/// What is the same at all of several servers is said once.
#[cfg(feature = "redis")]
pub(crate) fn merge(findings: &[Finding], servers: usize) -> Vec<Finding> {
    let mut merged: Vec<Finding> = Vec::new();
    for finding in findings {
        let everywhere = Finding {
            server: None,
            ..finding.clone()
        };
        let same = findings.iter().filter(|it| {
            Finding {
                server: None,
                ..(*it).clone()
            } == everywhere
        });
        let is_everywhere = servers > 1 && same.count() == servers;
        let finding = if is_everywhere {
            everywhere
        } else {
            finding.clone()
        };
        if !merged.contains(&finding) {
            merged.push(finding);
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_has_to_last_twenty_round_trips() {
        let millis = Duration::from_millis;
        assert_eq!(judge_ttl(millis(10), millis(200)).severity, Severity::Good);
        let short = judge_ttl(millis(10), millis(199));
        assert_eq!(short.severity, Severity::Warning);
        assert_eq!(short.remedy.as_deref(), Some("a ttl of at least 200ms"));
        assert_eq!(
            judge_ttl(Duration::MAX, millis(1)).severity,
            Severity::Warning
        );
    }

    #[test]
    fn the_worst_comes_first() {
        let finding = |severity| Finding::new(severity, Topic::Clock, "seen");
        let found = Diagnosis::of("d")
            .with(finding(Severity::Good))
            .with(finding(Severity::Warning).with_remedy("do it").at("h:1"))
            .for_pool("redis://h", Duration::from_secs(1));
        assert_eq!(found.worst(), Severity::Warning);
        assert_eq!(
            found.to_string(),
            "redis://h: d\n  warning  clock        h:1: seen\n                        -> do it\n  \
             good     clock        seen\n"
        );
        assert_eq!(found.findings()[0].to_string(), "h:1: seen (remedy: do it)");
    }
}
