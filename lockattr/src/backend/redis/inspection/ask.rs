//! How the servers are asked about locks.

use std::sync::LazyLock;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, RedisResult, ServerErrorKind, Value};

use super::super::cluster::{Cluster, Redirect};
use super::super::hello::text;
use super::super::link::LARGEST_BATCH;
use super::super::names::Names;
use super::super::{RedisBackend, failure};
use crate::backend::BackendError;

/// At how many names the server looks for one question: it serves nobody else meanwhile.
const STEP: usize = 256;

static INSPECT: &str = concat!(
    include_str!("../lua/inspect.lua"),
    "return inspect(KEYS[1])"
);
static INSPECT_SHA1: LazyLock<String> =
    LazyLock::new(|| redis::Script::new(INSPECT).get_hash().to_owned());
static QUEUE: &str = include_str!("../lua/queue.lua");
static TAKE_AWAY: &str = concat!(
    // As acquire.lua leaves them to the rest: nothing was read, and nothing taken.
    "local clock, found, taken\n",
    include_str!("../lua/fence.lua"),
    include_str!("../lua/shared.lua"),
    include_str!("../lua/contended.lua"),
    include_str!("../lua/inspect.lua"),
    include_str!("../lua/take_away.lua")
);

/// Asks how a lock is stored.
pub(super) fn inspect(lock: &str) -> Cmd {
    let mut call = redis::cmd("EVAL");
    call.arg(INSPECT).arg(1).arg(lock);
    call
}

/// Does so with a script that was sent before.
pub(super) fn inspect_again(lock: &str) -> Cmd {
    let mut call = redis::cmd("EVALSHA");
    call.arg(&*INSPECT_SHA1).arg(1).arg(lock);
    call
}

/// Asks who waits for a lock.
pub(super) fn queue(lock: &str, limit: usize) -> Cmd {
    let mut call = redis::cmd("EVAL");
    call.arg(QUEUE).arg(1).arg(lock).arg(limit);
    call
}

/// Takes a lock away, and asks how it was stored.
pub(super) fn take_away(lock: &str, names: &Names, is_node: bool) -> Cmd {
    let node = if is_node { " node" } else { "" };
    let channels = format!(" {}{node}", names.channels());
    let mut call = redis::cmd("EVAL");
    call.arg(TAKE_AWAY).arg(1).arg(lock).arg("").arg(channels);
    call
}

/// The pool's connections, by their links.
pub(super) struct Connections {
    open: Vec<Result<MultiplexedConnection, BackendError>>,
    patience: Duration,
}

impl Connections {
    pub(super) fn of(backend: &RedisBackend) -> Self {
        let open = backend.links.iter().map(|link| {
            let connection = link.connection.as_ref();
            let shared = connection.map(|it| it.shared.clone());
            shared.ok_or_else(|| link.last_error.clone())
        });
        Self {
            open: open.collect(),
            patience: backend.response_timeout,
        }
    }

    /// `at` is a link, and the cluster if there is one.
    pub(super) async fn ask(
        &self,
        at: (usize, Option<&Cluster>),
        call: Cmd,
    ) -> Result<Value, BackendError> {
        let answer = self.ask_once(at.0, &call).await?;
        self.follow(at, call, answer).await
    }

    async fn ask_once(&self, link: usize, call: &Cmd) -> Result<RedisResult<Value>, BackendError> {
        let mut answers = self.ask_all(link, std::slice::from_ref(call)).await?;
        Ok(answers.pop().unwrap_or(Ok(Value::Nil)))
    }

    /// Returns an answer to each call.
    pub(super) async fn ask_all(
        &self,
        link: usize,
        calls: &[Cmd],
    ) -> Result<Vec<RedisResult<Value>>, BackendError> {
        let mut connection = self.open[link].clone()?;
        let mut answers = Vec::with_capacity(calls.len());
        for calls in calls.chunks(LARGEST_BATCH) {
            let mut pipeline = redis::pipe();
            for call in calls {
                pipeline.add_command(call.clone());
            }
            let asking = connection.send_packed_commands(&pipeline, 0, calls.len());
            let answered = tokio::time::timeout(self.patience, asking).await;
            let answered = answered.map_err(|_| failure::no_answer(self.patience))?;
            let answered = answered.map_err(|error| failure::classify(&error).error)?;
            answers.extend(answered.into_iter().map(Value::extract_error));
        }
        Ok(answers)
    }

    /// Asks again where the answer is not one yet: the server has forgotten the script, or names another
    /// node. Nothing was executed then.
    pub(super) async fn follow(
        &self,
        (link, cluster): (usize, Option<&Cluster>),
        call: Cmd,
        answer: RedisResult<Value>,
    ) -> Result<Value, BackendError> {
        let error = match answer {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) {
            let answer = self.ask_once(link, &call).await?;
            return answer.map_err(|error| failure::classify(&error).error);
        }
        let (Some(cluster), Some(redirect)) = (cluster, Redirect::of(&error)) else {
            return Err(failure::classify(&error).error);
        };
        let mut pipeline = redis::pipe();
        if matches!(redirect, Redirect::Ask { .. }) {
            pipeline.cmd("ASKING");
        }
        pipeline.add_command(call);
        let mut visit = cluster.sent_on(link, &redirect).visit().await?;
        let answers = visit.ask(&pipeline, pipeline.len()).await?;
        Ok(answers.into_iter().next_back().unwrap_or(Value::Nil))
    }

    /// Takes a step through the names of a server. Returns the next cursor, and names that match.
    pub(super) async fn scan(
        &self,
        link: usize,
        cursor: &str,
        pattern: &str,
    ) -> Result<(String, Vec<String>), BackendError> {
        let mut call = redis::cmd("SCAN");
        call.arg(cursor).arg("MATCH").arg(pattern);
        call.arg("COUNT").arg(STEP);
        let answer = self.ask((link, None), call).await?;
        let read = || {
            let Value::Array(parts) = &answer else {
                return None;
            };
            let [next, Value::Array(names)] = &parts[..] else {
                return None;
            };
            // What is no text is no lock.
            let names = names.iter().filter_map(text).map(str::to_owned);
            Some((text(next)?.to_owned(), names.collect()))
        };
        read().ok_or_else(|| failure::malformed().error)
    }
}
