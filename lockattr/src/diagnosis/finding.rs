//! One thing that was looked at, and how bad it is.

use std::fmt;

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

impl Finding {
    /// For a [backend](crate::backend) of your own. `seen` must hold no password.
    ///
    /// # Examples
    ///
    /// ```
    /// use lockattr::{Diagnosis, Finding, Severity, Topic};
    ///
    /// let finding = Finding::new(Severity::Warning, Topic::Persistence, "no log");
    /// assert_eq!(finding.severity, Severity::Warning);
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// use lockattr::{Finding, Severity, Topic};
    ///
    /// let finding = Finding::new(Severity::Warning, Topic::Persistence, "no log");
    /// let finding = finding.with_remedy("switch the log on");
    /// assert_eq!(finding.remedy.as_deref(), Some("switch the log on"));
    /// ```
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Says which server it is about.
    ///
    /// # Examples
    ///
    /// ```
    /// use lockattr::{Finding, Severity, Topic};
    ///
    /// let finding = Finding::new(Severity::Good, Topic::Clock, "0 ms ahead").at("10.0.0.7");
    /// assert_eq!(finding.server.as_deref(), Some("10.0.0.7"));
    /// ```
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
