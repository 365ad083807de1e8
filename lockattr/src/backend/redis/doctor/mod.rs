//! What the server, or each master of several, says of itself, and what follows for locks.

mod ask;
mod judge;
mod judge_state;

use std::sync::Arc;

use tokio::task::JoinSet;

use super::link::Link;
use super::voice::Voice;
use super::{RedisBackend, failure};
use crate::backend::{BackendError, Examination};
use crate::diagnosis::{self, Diagnosis, Finding, Severity, Topic};
use ask::{Questions, Seen};

/// How a pool's servers belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deployment {
    Single,
    Sentinel,
    Cluster,
    /// One of a quorum, and whether it has no vote for a while after its start.
    Member {
        is_delayed: bool,
    },
}

impl RedisBackend {
    /// Asks by the pool's own connections, so that it is their way and their rights that are examined.
    pub(super) fn examination(&self) -> Examination {
        let deployment = match (&self.cluster, self.links.iter().find_map(|l| l.server())) {
            (Some(_), _) => Deployment::Cluster,
            (None, Some(_)) => Deployment::Sentinel,
            (None, None) => match self.restart_delay {
                Some(delay) => Deployment::Member {
                    is_delayed: !delay.is_zero(),
                },
                None => Deployment::Single,
            },
        };
        let questions = Arc::new(Questions {
            channel: format!("{}doctor", self.names.channels()),
            voice: self.voice,
            are_nodes: self.cluster.is_some(),
        });
        let mut asked = JoinSet::new();
        let mut silent = Vec::new();
        let mut masters = 0;
        for (link, server) in self.masters(deployment) {
            masters += 1;
            let connection = self.links[link].connection.as_ref();
            let Some(connection) = connection.map(|it| it.shared.clone()) else {
                silent.push(unreachable(&self.links[link].last_error).at_some(server));
                continue;
            };
            let (questions, patience) = (Arc::clone(&questions), self.response_timeout);
            let bucket = self.cluster.as_ref().map_or(0, |it| it.bucket_at(link));
            let name = self.names.probe(bucket);
            asked.spawn(async move {
                let asking = questions.ask(connection, name);
                let seen = tokio::time::timeout(patience, asking).await;
                let no_answer = |_| Seen::failed(failure::no_answer(patience));
                (server, seen.unwrap_or_else(no_answer))
            });
        }
        let (voice, why_mute) = (self.voice, self.why_mute.clone());
        Box::pin(async move {
            let mut answers = asked.join_all().await;
            answers.sort_by(|(one, _), (other, _)| one.cmp(other));
            let version = answers.iter().find_map(|(_, seen)| seen.version());
            let mut found = Diagnosis::of(describe(deployment, masters, version.as_deref()));
            let answered = answers.iter().filter(|(_, seen)| seen.failed.is_none());
            if let Some(took) = answered.map(|(_, seen)| seen.round_trip).max() {
                found = found.with_round_trip(took);
            }
            found = found.with(of_messages(voice, why_mute.as_deref()));
            if let [(_, seen)] = &answers[..] {
                found = found.with_identity(seen.info("run_id"));
            }
            let mut by_server = silent;
            for (server, seen) in answers {
                let findings = judge::judge(&seen, deployment);
                by_server.extend(findings.into_iter().map(|it| it.at_some(server.clone())));
            }
            diagnosis::merge(&by_server, masters)
                .into_iter()
                .fold(found, Diagnosis::with)
        })
    }

    /// One link to each server, with its name if there are several or it may change.
    fn masters(&self, deployment: Deployment) -> Vec<(usize, Option<String>)> {
        match &self.cluster {
            Some(cluster) => {
                let in_use = |link: &Link| !link.is_retired && link.beside.is_none();
                let links = (0..self.links.len()).filter(|link| in_use(&self.links[*link]));
                links
                    .map(|link| (link, Some(cluster.node(link).to_string())))
                    .collect()
            }
            None if deployment == Deployment::Sentinel => {
                let server = self.links[0].server();
                vec![(0, server.map(ToString::to_string))]
            }
            None => vec![(0, None)],
        }
    }
}

impl Finding {
    fn at_some(self, server: Option<String>) -> Self {
        Self { server, ..self }
    }
}

fn describe(deployment: Deployment, masters: usize, version: Option<&str>) -> String {
    let version = version.unwrap_or("a server that does not tell its version");
    match deployment {
        Deployment::Single | Deployment::Member { .. } => format!("one server, {version}"),
        Deployment::Sentinel => format!("the master of Sentinel, {version}"),
        Deployment::Cluster => format!("a cluster of {masters} masters, {version}"),
    }
}

fn unreachable(error: &BackendError) -> Finding {
    let said = error.to_string();
    if failure::is_about_rights(&said) {
        return finding(Severity::Broken, Topic::Rights, said);
    }
    let seen = format!("it cannot be asked: {said}");
    finding(Severity::Warning, Topic::Deployment, seen)
        .with_remedy("examine it again once it answers: nothing is known of its settings")
}

fn of_messages(voice: Voice, why_mute: Option<&str>) -> Finding {
    if voice == Voice::Messages {
        let seen = "waiters are told of their lease, in the order of their arrival";
        return Finding::new(Severity::Good, Topic::Messages, seen);
    }
    let seen = format!(
        "waiters are not told of their lease: they ask every 10 to 250 ms, and the order between \
         processes is lost ({})",
        why_mute.unwrap_or("the server sends no messages"),
    );
    Finding::new(Severity::Warning, Topic::Messages, seen).with_remedy(
        "a way to the server that passes HELLO 3 and SUBSCRIBE on, and the right to SUBSCRIBE",
    )
}

fn finding(severity: Severity, topic: Topic, seen: impl Into<String>) -> Finding {
    Finding::new(severity, topic, seen)
}

/// What was not to be read. It is not assumed to be good.
fn not_known(severity: Severity, topic: Topic, what: &str) -> Finding {
    let seen = format!("{what} is not known: no right to INFO");
    finding(severity, topic, seen).with_remedy("allow INFO to the pool's user")
}
