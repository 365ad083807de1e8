//! The questions to one server.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::Value;
use redis::aio::MultiplexedConnection;
use tokio::time::Instant;

use super::super::failure;
use super::super::hello::text;
use super::super::voice::Voice;
use crate::backend::BackendError;

static SCRIPT: &str = include_str!("../lua/examine.lua");
/// The settings that INFO does not tell.
const SETTINGS: [&str; 6] = [
    "appendfsync",
    "min-replicas-max-lag",
    "min-replicas-to-write",
    "save",
    "stop-writes-on-bgsave-error",
    "timeout",
];
/// The best of so many answers counts.
const ROUND_TRIPS: usize = 3;

pub(super) struct Questions {
    pub(super) channel: String,
    pub(super) voice: Voice,
    /// Whether the servers are nodes of a cluster.
    pub(super) are_nodes: bool,
}

/// What a server says of itself.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Why it could not be asked, if it could not.
    pub(super) failed: Option<BackendError>,
    pub(super) round_trip: Duration,
    /// How far its clock is ahead of ours, in microseconds.
    pub(super) ahead: Option<i64>,
    /// The commands that the user may not call. `None` if the server does not say.
    pub(super) missing: Option<Vec<String>>,
    /// The fields of INFO, if the user may read it.
    pub(super) info: Option<HashMap<String, String>>,
    /// The settings, if the user may read them.
    pub(super) settings: Option<HashMap<String, String>>,
    /// The fields of CLUSTER INFO.
    pub(super) cluster: Option<HashMap<String, String>>,
}

type Fields = HashMap<String, String>;

impl Questions {
    /// `name` is one that the server has, if there were anything under it.
    pub(super) async fn ask(&self, mut connection: MultiplexedConnection, name: String) -> Seen {
        let examined = self.examine(&mut connection, &name).await;
        let mut seen = examined.unwrap_or_else(Seen::failed);
        let may_read_settings = seen.settings.take().is_some();
        // Nothing that a proxy may not pass on.
        if may_read_settings && self.voice > Voice::Scripts {
            seen.settings = read_settings(&mut connection).await;
        }
        if self.are_nodes {
            let question = redis::cmd("CLUSTER").arg("INFO").to_owned();
            let answer = connection.send_packed_command(&question).await;
            seen.cluster = answer.ok().as_ref().and_then(text).map(fields);
        }
        seen
    }

    async fn examine(
        &self,
        connection: &mut MultiplexedConnection,
        name: &str,
    ) -> Result<Seen, BackendError> {
        let mut question = redis::cmd("EVAL");
        question.arg(SCRIPT).arg(1).arg(name).arg(&self.channel);
        let mut best: Option<Seen> = None;
        for _ in 0..ROUND_TRIPS {
            let (sent, sent_at) = (Instant::now(), SystemTime::now());
            let answer = connection.send_packed_command(&question).await;
            let answer = answer.and_then(Value::extract_error);
            let answer = answer.map_err(|error| failure::classify(&error).error)?;
            let round_trip = sent.elapsed();
            if best
                .as_ref()
                .is_some_and(|best| best.round_trip <= round_trip)
            {
                continue;
            }
            let mut seen = read(&answer).ok_or_else(|| failure::malformed().error)?;
            seen.round_trip = round_trip;
            // Asked half a round trip ago.
            seen.ahead = seen
                .ahead
                .map(|clock| clock - micros(sent_at + round_trip / 2));
            best = Some(seen);
        }
        Ok(best.unwrap_or_default())
    }
}

/// Reads the answer of the script; `ahead` is still the server's clock, and `settings` only whether they
/// may be read.
fn read(answer: &Value) -> Option<Seen> {
    let Value::Array(parts) = answer else {
        return None;
    };
    let parts: Vec<&str> = parts.iter().map(text).collect::<Option<_>>()?;
    let [seconds, rest, missing, may_read_settings, info] = parts[..] else {
        return None;
    };
    let clock = || Some(seconds.parse::<i64>().ok()? * 1_000_000 + rest.parse::<i64>().ok()?);
    Some(Seen {
        ahead: clock(),
        missing: (missing != "?").then(|| missing.split_whitespace().map(str::to_owned).collect()),
        info: (!info.is_empty()).then(|| fields(info)),
        settings: (may_read_settings != "0").then(Fields::new),
        ..Seen::default()
    })
}

fn micros(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn fields(text: &str) -> Fields {
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

async fn read_settings(connection: &mut MultiplexedConnection) -> Option<Fields> {
    let mut questions = redis::pipe();
    for name in SETTINGS {
        // One each: before Redis 7 it takes no more.
        questions.cmd("CONFIG").arg("GET").arg(name);
    }
    let answers = connection
        .send_packed_commands(&questions, 0, SETTINGS.len())
        .await;
    let mut settings = Fields::new();
    for answer in answers.ok()? {
        let (name, value) = match &answer {
            Value::Map(pairs) => pairs.first().map(|(name, value)| (text(name), text(value))),
            Value::Array(parts) => match &parts[..] {
                [name, value] => Some((text(name), text(value))),
                _ => None,
            },
            _ => None,
        }
        .unwrap_or_default();
        if let (Some(name), Some(value)) = (name, value) {
            settings.insert(name.to_owned(), value.to_owned());
        }
    }
    // A server that does not know some of them has not refused the others.
    (!settings.is_empty()).then_some(settings)
}

impl Seen {
    pub(super) fn failed(error: BackendError) -> Self {
        Self {
            failed: Some(error),
            ..Self::default()
        }
    }

    pub(super) fn info(&self, field: &str) -> Option<&str> {
        self.info.as_ref()?.get(field).map(String::as_str)
    }

    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.as_ref()?.get(name).map(String::as_str)
    }

    /// Which server it is, and the version by which it calls itself.
    pub(super) fn version(&self) -> Option<String> {
        let of_itself = [
            ("valkey_version", "Valkey"),
            ("dragonfly_version", "Dragonfly"),
        ];
        let found = of_itself
            .iter()
            .find_map(|(field, name)| Some((*name, self.info(field)?)));
        let (name, version) = found.or_else(|| Some(("Redis", self.info("redis_version")?)))?;
        Some(format!("{name} {version}"))
    }

    /// The version of Redis that it is like, as far as the first two numbers.
    pub(super) fn redis_version(&self) -> Option<(u32, u32)> {
        let mut numbers = self.info("redis_version")?.split('.').map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    }
}
