//! What the answers of the scripts mean. Whatever else comes is an error, never a lease.

use std::time::Duration;

use redis::{RedisResult, Value};

use super::failure;
use crate::backend::{Op, Outcome, Reply};

/// What was asked, as far as it matters for reading the answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Question {
    Acquire,
    Renew,
    Release,
}

impl Question {
    pub(super) fn of(op: &Op) -> Self {
        match op {
            Op::Acquire { .. } => Self::Acquire,
            Op::Renew { .. } => Self::Renew,
            Op::Release { .. } => Self::Release,
        }
    }
}

pub(super) fn read(question: Question, answer: RedisResult<Value>) -> Outcome {
    let answer = answer.map_err(|error| failure::classify(&error))?;
    let reply = match (question, &answer) {
        (Question::Acquire, Value::Array(parts)) => read_acquire(parts),
        (Question::Renew, Value::Int(1)) => Some(Reply::Renewed),
        (Question::Renew, Value::Int(0)) => Some(Reply::Gone),
        (Question::Release, Value::Int(0 | 1)) => Some(Reply::Released),
        _ => None,
    };
    reply.ok_or_else(failure::malformed)
}

fn read_acquire(parts: &[Value]) -> Option<Reply> {
    let [Value::Int(code), Value::BulkString(text)] = parts else {
        return None;
    };
    let number = || std::str::from_utf8(text).ok()?.parse::<i64>().ok();
    match code {
        1 => {
            let token = u64::try_from(number()?).ok().filter(|token| *token > 0)?;
            Some(Reply::Granted { token })
        }
        0 => {
            // A key without a ttl is none of ours; it is held for ever, as far as we know.
            let ends_in = u64::try_from(number()?).map_or(Duration::MAX, Duration::from_millis);
            Some(Reply::Held {
                ends_in,
                queued: false,
            })
        }
        -1 => Some(Reply::Tombstoned),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::BackendErrorKind;

    fn pair(code: i64, text: &str) -> Value {
        Value::Array(vec![
            Value::Int(code),
            Value::BulkString(text.as_bytes().to_vec()),
        ])
    }

    #[test]
    fn answers_are_read() {
        let acquire = |value| read(Question::Acquire, Ok(value)).unwrap();
        assert_eq!(
            acquire(pair(1, "1764000000000007")),
            Reply::Granted {
                token: 1_764_000_000_000_007
            }
        );
        let ends_in = Duration::from_millis(1500);
        assert_eq!(
            acquire(pair(0, "1500")),
            Reply::Held {
                ends_in,
                queued: false
            }
        );
        assert_eq!(
            acquire(pair(0, "-1")),
            Reply::Held {
                ends_in: Duration::MAX,
                queued: false
            }
        );
        assert_eq!(acquire(pair(-1, "")), Reply::Tombstoned);
    }

    #[test]
    fn nonsense_is_never_a_lease() {
        for value in [
            pair(1, ""),
            pair(1, "-5"),
            pair(1, "0"),
            pair(1, "1.764e+15"),
            pair(1, "99999999999999999999"),
            pair(2, "1"),
            Value::Int(1),
            Value::Nil,
            Value::Okay,
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![Value::Int(1), Value::Int(1)]),
            Value::SimpleString("OK".to_owned()),
        ] {
            let failure = read(Question::Acquire, Ok(value)).unwrap_err();
            assert_eq!(failure.error.kind(), BackendErrorKind::Malformed);
            assert!(failure.maybe_executed);
        }
        assert!(read(Question::Renew, Ok(Value::Int(2))).is_err());
        assert!(read(Question::Release, Ok(Value::Okay)).is_err());
    }
}
