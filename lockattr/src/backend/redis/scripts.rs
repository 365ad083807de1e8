//! The scripts, and how attempts become a call of a script.

mod code;

use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::aio::MultiplexedConnection;
use redis::{Arg, Cmd, ErrorKind, RedisResult, ServerErrorKind, Value};

use super::names::{self, Name, Names};
use super::voice::Voice;
use crate::backend::{Attempt, IfHeld, Op};
use crate::timing::QUEUE_LIFE;
use code::{Code, is_alike, share};

struct Script {
    text: &'static str,
    sha1: String,
    /// Its bit in [`Known`].
    bit: u8,
}

impl Script {
    fn new(bit: u8, text: &'static str) -> Self {
        Self {
            text,
            sha1: redis::Script::new(text).get_hash().to_owned(),
            bit,
        }
    }
}

/// The scripts whose text was sent on a connection.
/// The first call of each sends the text: a call by a hash that the server does not know would have
/// to be sent again, and later requests would overtake it.
#[derive(Debug, Default)]
pub(super) struct Known(u8);

impl Known {
    /// Marks the script as sent. Returns whether it was sent before.
    fn note(&mut self, script: &Script) -> bool {
        let was_sent = self.0 & script.bit != 0;
        self.0 |= script.bit;
        was_sent
    }
}

/// For attempts of any kind.
static ATTEMPTS: LazyLock<Script> = LazyLock::new(|| {
    let text = concat!(
        // As acquire.lua leaves them to the rest: nothing was read, and nothing taken.
        "local clock, found, taken\n",
        include_str!("lua/fence.lua"),
        include_str!("lua/shared.lua"),
        include_str!("lua/contended.lua"),
        include_str!("lua/attempts.lua")
    );
    Script::new(1, text)
});
/// For one acquire, with the short way in front.
static ACQUIRE: LazyLock<Script> = LazyLock::new(|| {
    let text = concat!(
        include_str!("lua/acquire.lua"),
        include_str!("lua/fence.lua"),
        include_str!("lua/shared.lua"),
        include_str!("lua/contended.lua"),
        include_str!("lua/attempts.lua")
    );
    Script::new(2, text)
});
/// For one release, with the short way in front.
static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    let text = concat!(
        include_str!("lua/release.lua"),
        include_str!("lua/fence.lua"),
        include_str!("lua/shared.lua"),
        include_str!("lua/contended.lua"),
        include_str!("lua/attempts.lua")
    );
    Script::new(4, text)
});

/// One call of a script, for several attempts.
pub(super) struct Call {
    script: &'static Script,
    command: Cmd,
}

/// What the attempts of a call have in common.
pub(super) struct Caller<'a> {
    pub(super) names: &'a Names,
    /// The channel that notifies the waiters of this connection.
    pub(super) channel: &'a str,
    /// Whether the server is a node of a cluster.
    pub(super) is_node: bool,
    pub(super) voice: Voice,
}

impl Call {
    /// Sorts the attempts into the order of their execution: what makes room comes first. `number`
    /// comes back with the answer.
    pub(super) fn new(
        caller: &Caller<'_>,
        attempts: &mut [Attempt],
        number: u64,
        known: &mut Known,
    ) -> Self {
        attempts.sort_by_key(|attempt| Code::of(attempt).turn());
        let script = match attempts {
            [one] if Code::of(one) == Code::Acquire => &*ACQUIRE,
            [one] if Code::of(one) == Code::Release => &*RELEASE,
            _ => &*ATTEMPTS,
        };
        let mut text = String::with_capacity(128);
        let mut command = Cmd::with_capacity(16 + 12 * attempts.len(), 512 * (1 + attempts.len()));
        let mut keys: usize = attempts.iter().map(|a| Code::of(a).names()).sum();
        // A proxy passes on only what has a name to choose a server by.
        let needs_name = keys == 0 && caller.voice == Voice::Scripts;
        keys += usize::from(needs_name);
        if known.note(script) {
            command.arg("EVALSHA").arg(&script.sha1).arg(keys);
        } else {
            command.arg("EVAL").arg(script.text).arg(keys);
        }
        if needs_name {
            command.arg(caller.names.probe(0));
        }
        for attempt in &*attempts {
            caller.write_names(&mut command, attempt, &mut text);
        }
        command.arg(number);
        text.clear();
        text.push_str(caller.channel);
        text.push(' ');
        text.push_str(caller.names.channels());
        if caller.is_node {
            text.push_str(" node");
        }
        command.arg(text.as_str());
        let millis_now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |now| now.as_millis());
        for group in attempts.chunk_by(is_alike) {
            caller.write_group(&mut command, group, millis_now, &mut text);
        }
        Self { script, command }
    }

    /// Sends the text again if the server has forgotten the script. Needs no right to `SCRIPT
    /// LOAD`.
    ///
    /// `asks` a node of a cluster for names that are on their way to it.
    pub(super) async fn invoke(
        &self,
        connection: &mut MultiplexedConnection,
        asks: bool,
    ) -> RedisResult<Value> {
        match send(connection, &self.command, asks).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                send(connection, &self.by_text(), asks).await
            }
            answer => answer,
        }
    }

    pub(super) fn command(&self) -> &Cmd {
        &self.command
    }

    /// The same with the script's text.
    pub(super) fn by_text(&self) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(self.script.text);
        for arg in self.command.args_iter().skip(2) {
            if let Arg::Simple(arg) = arg {
                command.arg(arg);
            }
        }
        command
    }
}

async fn send(
    connection: &mut MultiplexedConnection,
    command: &Cmd,
    asks: bool,
) -> RedisResult<Value> {
    if asks {
        let mut pipeline = redis::pipe();
        pipeline.cmd("ASKING").add_command(command.clone());
        let answers = connection.send_packed_commands(&pipeline, 1, 1).await?;
        let answer = answers.into_iter().next();
        return answer.unwrap_or(Value::Nil).extract_error();
    }
    connection
        .send_packed_command(command)
        .await?
        .extract_error()
}

impl Caller<'_> {
    fn write_names(&self, command: &mut Cmd, attempt: &Attempt, text: &mut String) {
        let Attempt { key, owner, .. } = attempt;
        let bucket = names::bucket(key.as_str());
        let names = [
            Name::Lock(key),
            Name::Fence,
            Name::Queue(key),
            Name::Tombstone(owner),
        ];
        for name in &names[..Code::of(attempt).names()] {
            self.names.write(bucket, name, text);
            command.arg(text.as_str());
        }
    }

    fn write_group(&self, command: &mut Cmd, group: &[Attempt], now: u128, text: &mut String) {
        let Some(first) = group.first() else {
            return;
        };
        let claim = &first.claim;
        command.arg(Code::of(first).letter()).arg(group.len());
        match first.op {
            Op::Acquire { ttl, if_held } => {
                let rest = format!(":{now}:{}", first.who());
                let share = share(first.mode);
                command.arg(millis(ttl));
                if share.is_none() {
                    command.arg(claim.tokens);
                }
                let mut waiting = format!("{} ", millis(claim.ttl));
                if if_held == IfHeld::Queue {
                    write!(waiting, "{}", millis(QUEUE_LIFE)).expect("a String takes everything");
                }
                command.arg(waiting);
                command.arg(rest);
                if let Some((mode, weight)) = share {
                    command.arg(mode).arg(weight);
                } else if first.least_token > 0 {
                    command.arg(first.least_token);
                }
            }
            Op::Renew { ttl } => {
                command.arg(millis(ttl));
            }
            Op::Reserve { tokens } => {
                command.arg(tokens).arg(first.least_token);
            }
            Op::Release { .. } => {}
        }
        for attempt in group {
            text.clear();
            write!(text, "1:{}:", attempt.owner).expect("a String takes everything");
            command.arg(text.as_str());
            if let Op::Release {
                leave_queue,
                tombstone,
                keep,
            } = attempt.op
                && Code::of(attempt) != Code::Release
            {
                let entry = if leave_queue {
                    self.entry(attempt)
                } else {
                    String::new()
                };
                command.arg(entry);
                for span in [tombstone, keep] {
                    command.arg(span.map_or_else(String::new, |span| millis(span).to_string()));
                }
            }
        }
    }

    /// Returns the entry that the script writes when an acquire takes a place in the queue.
    fn entry(&self, attempt: &Attempt) -> String {
        let Attempt { owner, claim, .. } = attempt;
        let who = attempt.who();
        let (ttl, tokens, channel) = (millis(claim.ttl), claim.tokens, self.channel);
        match share(attempt.mode) {
            None => format!("1:{owner}:{ttl}:{tokens}:{channel}:{who}"),
            Some((mode, weight)) => {
                format!("1s:{mode}:{weight}:{owner}:{ttl}:{channel}:{who}")
            }
        }
    }
}

/// Returns whole milliseconds, rounded up: never less than was asked for.
fn millis(span: Duration) -> u128 {
    span.as_nanos().div_ceil(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_is_rounded_up_to_whole_milliseconds() {
        assert_eq!(millis(Duration::from_micros(50_001)), 51);
        assert_eq!(millis(Duration::from_secs(10)), 10_000);
    }
}
