//! What a lock service can and cannot promise, as it is set up: in words and as data.

mod finding;

use std::fmt;
use std::time::Duration;

pub use finding::{Finding, Severity, Topic};

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

impl Diagnosis {
    /// For a [backend](crate::backend) of your own: a diagnosis without findings, of a deployment in a
    /// few words.
    ///
    /// # Examples
    ///
    /// ```
    /// let diagnosis = lockattr::Diagnosis::of("three nodes of etcd");
    /// assert_eq!(diagnosis.deployment(), "three nodes of etcd");
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let diagnosis = lockattr::Diagnosis::of("one server");
    /// let diagnosis = diagnosis.with_round_trip(Duration::from_micros(120));
    /// ```
    pub fn with_round_trip(mut self, took: Duration) -> Self {
        self.round_trip = Some(took);
        self
    }

    /// Adds a finding.
    ///
    /// # Examples
    ///
    /// ```
    /// use lockattr::{Diagnosis, Finding, Severity, Topic};
    ///
    /// let finding = Finding::new(Severity::Good, Topic::Clock, "0 ms ahead");
    /// let diagnosis = Diagnosis::of("one server").with(finding);
    /// assert_eq!(diagnosis.findings().len(), 1);
    /// ```
    pub fn with(mut self, finding: Finding) -> Self {
        self.findings.push(finding);
        self
    }

    /// The pool's lock service: its URL without the password.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// assert_eq!(lockattr::doctor(&pool).await?.place(), "memory://");
    /// # Ok(())
    /// # }
    /// ```
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What the service consists of, in a few words.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// println!("{}", lockattr::doctor(&pool).await?.deployment());
    /// # Ok(())
    /// # }
    /// ```
    pub fn deployment(&self) -> &str {
        &self.deployment
    }

    /// The findings, the worst ones first.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// for finding in lockattr::doctor(&pool).await?.findings() {
    ///     println!("{finding}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How bad the worst finding is.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockattr::Error> {
    /// # let pool = lockattr::LockPool::memory().await?;
    /// use lockattr::Severity;
    ///
    /// let diagnosis = lockattr::doctor(&pool).await?;
    /// assert!(diagnosis.worst() < Severity::Warning, "{diagnosis}");
    /// # Ok(())
    /// # }
    /// ```
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
