//! The script, and how attempts become a call of it.

use std::sync::LazyLock;
use std::time::Duration;
use std::{fs, process};

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisResult, ServerErrorKind, Value};

use super::names::Names;
use crate::backend::{Attempt, Op};
use crate::timing::QUEUE_LIFE;

struct Script {
    text: &'static str,
    sha1: String,
}

impl Script {
    fn new(text: &'static str) -> Self {
        Self {
            text,
            sha1: redis::Script::new(text).get_hash().to_owned(),
        }
    }
}

static BATCH: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/batch.lua")));

/// Host and process, as they stand in the value of a lock.
static PLACE: LazyLock<String> = LazyLock::new(|| {
    let host = fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_default();
    format!("{}/{}", host.trim(), process::id())
});

/// One call of the script, for several attempts.
pub(super) struct Call {
    keys: Vec<String>,
    args: Vec<String>,
    number: u64,
}

impl Call {
    /// `channels` is what the names of the channels begin with; `number` comes back with the answer.
    pub(super) fn new(channels: String, number: u64) -> Self {
        Self {
            keys: Vec::new(),
            args: vec![channels],
            number,
        }
    }

    /// `channel` is where this waiter is told of a lease.
    pub(super) fn push(&mut self, names: &Names, bucket: u16, attempt: &Attempt, channel: &str) {
        let Attempt {
            key, owner, claim, ..
        } = attempt;
        let id = owner.to_string();
        let who = format!("{} {}", *PLACE, attempt.label);
        let entry = || {
            let (ttl, tokens) = (millis(claim.ttl), claim.tokens);
            format!("{id}:{ttl}:{tokens}:{channel}:{who}")
        };
        self.keys.extend([
            names.lock(bucket, key),
            names.fence(bucket),
            names.queue(bucket, key),
        ]);
        match attempt.op {
            Op::Acquire { ttl } => {
                self.keys.push(names.tombstone(bucket, owner));
                let (entry, tokens) = (entry(), claim.tokens.to_string());
                self.args.extend([
                    "a".to_owned(),
                    id,
                    entry,
                    millis(ttl),
                    tokens,
                    millis(QUEUE_LIFE),
                    who,
                ]);
            }
            Op::Renew { ttl, tokens } => {
                self.args
                    .extend(["n".to_owned(), id, millis(ttl), tokens.to_string()]);
            }
            Op::Release { queued, tombstone } => {
                self.keys.push(names.tombstone(bucket, owner));
                let entry = if queued { entry() } else { String::new() };
                let life = tombstone.map_or_else(|| "0".to_owned(), millis);
                self.args.extend(["r".to_owned(), id, entry, life]);
            }
        }
    }

    /// By its hash, and by its text where the server does not know it yet: one more round trip
    /// once, and no right to `SCRIPT LOAD` needed.
    pub(super) async fn invoke(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> RedisResult<Value> {
        match self.send(connection, "EVALSHA", &BATCH.sha1).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.send(connection, "EVAL", BATCH.text).await
            }
            answer => answer,
        }
    }

    async fn send(
        &self,
        connection: &mut MultiplexedConnection,
        name: &str,
        script: &str,
    ) -> RedisResult<Value> {
        let mut command = redis::cmd(name);
        command
            .arg(script)
            .arg(self.keys.len())
            .arg(&self.keys)
            .arg(&self.args)
            .arg(self.number);
        connection
            .send_packed_command(&command)
            .await?
            .extract_error()
    }
}

/// Whole milliseconds, rounded up: never less than was asked for.
fn millis(span: Duration) -> String {
    span.as_nanos().div_ceil(1_000_000).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_is_rounded_up_to_whole_milliseconds() {
        assert_eq!(millis(Duration::from_micros(50_001)), "51");
        assert_eq!(millis(Duration::from_secs(10)), "10000");
    }
}
