//! The copies of a change: how the server is asked for them, and what its answer means.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisError, RedisResult, Value};
use tracing::warn;

use crate::backend::redis::hello::Refusal;
use crate::backend::redis::{RedisOptions, failure};
use crate::backend::{Attempt, Confirmation, Failure, Outcome, Reply};

/// The copies that a link waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Copies {
    replicas: u8,
    fsync: bool,
}

impl Copies {
    /// What the calls of a pool ask for that do not say so themselves.
    pub(in super::super) fn by_default_of(options: &RedisOptions) -> Option<Self> {
        let (replicas, fsync) = (options.confirm_replicas, options.confirm_fsync);
        (replicas > 0 || fsync).then_some(Self { replicas, fsync })
    }

    pub(super) fn of(asked: Confirmation) -> Self {
        let Confirmation {
            replicas, fsync, ..
        } = asked;
        Self { replicas, fsync }
    }

    /// Returns the command that blocks until these copies are there. A time of 0 would be for ever.
    pub(super) fn wait(self, within: Duration) -> Cmd {
        let mut command = redis::cmd(if self.fsync { "WAITAOF" } else { "WAIT" });
        if self.fsync {
            command.arg(1);
        }
        let millis = within.as_millis().max(1).to_string();
        command.arg(self.replicas).arg(millis);
        command
    }

    fn wanted(self) -> u32 {
        u32::from(self.replicas) + u32::from(self.fsync)
    }

    /// Reads how many of these copies there are, of all that the server has.
    fn read(self, answer: &Value) -> Option<u32> {
        let number = |value: &Value| match value {
            Value::Int(number) => u32::try_from(*number).ok(),
            _ => None,
        };
        let (local, replicas) = match (answer, self.fsync) {
            (Value::Array(numbers), true) => match &numbers[..] {
                [local, replicas] => (number(local)?.min(1), number(replicas)?),
                _ => return None,
            },
            (answer, false) => (0, number(answer)?),
            _ => return None,
        };
        Some(local + replicas.min(self.replicas.into()))
    }
}

/// What became of a confirmation.
pub(in super::super) type Verdict = (Confirmation, RedisResult<Value>);

/// Asks for what the confirmations need, without waiting for any.
///
/// # Errors
///
/// For a server that lacks the command, or has no append-only file.
pub(in super::super) async fn probe(
    connection: &mut MultiplexedConnection,
    copies: Copies,
) -> Result<(), Refusal> {
    let none = Copies {
        replicas: 0,
        ..copies
    };
    let answer = connection
        .send_packed_command(&none.wait(Duration::ZERO))
        .await
        .and_then(Value::extract_error)
        .map_err(|error| explain(&error))?;
    let all = Copies {
        replicas: u8::MAX,
        ..copies
    };
    let found = all.read(&answer).unwrap_or_default();
    if found < copies.wanted() {
        warn!(
            "the server has {found} of the {} copies that calls ask to be confirmed",
            copies.wanted()
        );
    }
    Ok(())
}

fn explain(error: &RedisError) -> Refusal {
    let reason = if failure::lacks_command(error) {
        "the server has no WAITAOF; Redis has it since 7.2, and Valkey"
    } else if error.to_string().contains("appendonly") {
        "the server has no append-only file; set `appendonly yes` there"
    } else {
        return failure::classify(error).error.into();
    };
    Refusal::Unfit {
        setting: "confirm_fsync",
        reason: reason.to_owned(),
    }
}

/// Turns successes into failures that were not confirmed.
pub(in super::super) fn confirmed(
    attempts: &[Attempt],
    outcomes: Vec<Outcome>,
    verdicts: &[Verdict],
) -> Vec<Outcome> {
    let pairs = attempts.iter().zip(outcomes);
    let judged = pairs.map(
        |(attempt, outcome)| match (&outcome, attempt.confirmation) {
            (Ok(Reply::Renewed { .. } | Reply::Reserved(_) | Reply::Granted(_)), Some(asked)) => {
                judge(asked, verdicts).and(outcome)
            }
            _ => outcome,
        },
    );
    judged.collect()
}

fn judge(asked: Confirmation, verdicts: &[Verdict]) -> Result<(), Failure> {
    let copies = Copies::of(asked);
    let verdict = verdicts.iter().find(|(of, _)| *of == asked);
    match verdict.map(|(_, answer)| answer) {
        Some(Ok(answer)) => match copies.read(answer) {
            Some(confirmed) if confirmed >= copies.wanted() => Ok(()),
            Some(confirmed) => Err(failure::unconfirmed(asked, confirmed, copies.wanted())),
            None => Err(failure::malformed()),
        },
        // The script was executed.
        Some(Err(error)) => Err(Failure {
            maybe_executed: true,
            ..failure::classify(error)
        }),
        None => Err(failure::malformed()),
    }
}

#[cfg(test)]
mod tests {
    use redis::ErrorKind;

    use super::*;

    const WAIT: Copies = Copies {
        replicas: 2,
        fsync: false,
    };
    const WAITAOF: Copies = Copies {
        replicas: 1,
        fsync: true,
    };

    fn text(command: &Cmd) -> String {
        String::from_utf8(command.get_packed_command()).unwrap()
    }

    fn both(local: i64, replicas: i64) -> Value {
        Value::Array(vec![Value::Int(local), Value::Int(replicas)])
    }

    #[test]
    fn the_command_never_blocks_for_ever() {
        let wait = text(&WAIT.wait(Duration::ZERO));
        assert_eq!(wait, "*3\r\n$4\r\nWAIT\r\n$1\r\n2\r\n$1\r\n1\r\n");
        let wait = text(&WAITAOF.wait(Duration::from_millis(250)));
        assert_eq!(
            wait,
            "*4\r\n$7\r\nWAITAOF\r\n$1\r\n1\r\n$1\r\n1\r\n$3\r\n250\r\n"
        );
    }

    #[test]
    fn copies_are_counted() {
        assert_eq!(WAIT.read(&Value::Int(1)), Some(1));
        assert_eq!(WAIT.read(&Value::Int(7)), Some(2));
        assert_eq!(WAITAOF.read(&both(1, 1)), Some(2));
        // More replicas are not instead of the server's own file.
        assert_eq!(WAITAOF.read(&both(0, 5)), Some(1));
        for nonsense in [Value::Nil, Value::Int(-1), both(1, 1), Value::Okay] {
            assert_eq!(WAIT.read(&nonsense), None);
        }
        for nonsense in [Value::Int(2), both(-1, 1), Value::Array(vec![])] {
            assert_eq!(WAITAOF.read(&nonsense), None);
        }
    }

    #[test]
    fn what_is_not_confirmed_does_not_count() {
        let asked = Confirmation {
            replicas: 2,
            fsync: false,
            within: Duration::from_millis(70),
        };
        judge(asked, &[(asked, Ok(Value::Int(2)))]).unwrap();
        let failed = judge(asked, &[(asked, Ok(Value::Int(1)))]).unwrap_err();
        assert!(failed.maybe_executed && failed.passing);
        let text = failed.error.to_string();
        for part in ["1 of 2 replicas", "70ms", "confirm_replicas"] {
            assert!(text.contains(part), "{text}");
        }
        // Nor is the confirmation of less.
        let less = Confirmation {
            replicas: 1,
            ..asked
        };
        judge(asked, &[(less, Ok(Value::Int(2)))]).unwrap_err();
        judge(asked, &[(asked, Ok(Value::Nil))]).unwrap_err();
        let refused = RedisError::from((ErrorKind::Io, "gone"));
        judge(asked, &[(asked, Err(refused))]).unwrap_err();
    }
}
