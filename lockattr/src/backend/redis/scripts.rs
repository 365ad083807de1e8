//! The scripts, and how an attempt becomes a call of one.

use std::sync::LazyLock;
use std::time::Duration;
use std::{fs, process};

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisResult, ServerErrorKind, Value};

use super::names::Names;
use crate::backend::Op;
use crate::key::Key;
use crate::owner::OwnerId;

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

static ACQUIRE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/acquire.lua")));
static RENEW: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/renew.lua")));
static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/release.lua")));
static RELEASE_UNCERTAIN: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("lua/release_uncertain.lua")));

/// Host and process, as they stand in the value of a lock.
static PLACE: LazyLock<String> = LazyLock::new(|| {
    let host = fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_default();
    format!("{}/{}", host.trim(), process::id())
});

/// One call of a script.
pub(super) struct Call {
    script: &'static Script,
    keys: Vec<String>,
    args: Vec<String>,
}

impl Call {
    pub(super) fn new(names: &Names, bucket: u16, key: &Key, owner: &OwnerId, op: &Op) -> Self {
        let lock = names.lock(bucket, key);
        let (script, keys, args) = match op {
            Op::Acquire { ttl, label } => {
                let keys = vec![lock, names.fence(bucket), names.tombstone(bucket, owner)];
                (
                    &ACQUIRE,
                    keys,
                    vec![
                        owner.to_string(),
                        millis(*ttl),
                        format!("{} {label}", *PLACE),
                    ],
                )
            }
            Op::Renew { ttl } => (&RENEW, vec![lock], vec![owner.to_string(), millis(*ttl)]),
            Op::Release { tombstone: None } => (&RELEASE, vec![lock], vec![owner.to_string()]),
            Op::Release {
                tombstone: Some(life),
            } => {
                let keys = vec![lock, names.tombstone(bucket, owner)];
                (
                    &RELEASE_UNCERTAIN,
                    keys,
                    vec![owner.to_string(), millis(*life)],
                )
            }
        };
        Self { script, keys, args }
    }

    /// By its hash, and by its text where the server does not know it yet: one more round trip
    /// once, and no right to `SCRIPT LOAD` needed.
    pub(super) async fn invoke(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> RedisResult<Value> {
        match self.send(connection, "EVALSHA", &self.script.sha1).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.send(connection, "EVAL", self.script.text).await
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
            .arg(&self.args);
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
