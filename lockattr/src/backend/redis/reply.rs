//! Reads the answers of the scripts. Everything unexpected is an error, never a lease.

use std::time::Duration;

use redis::Value;

use super::failure;
use crate::backend::{Attempt, Granted, Op, Outcome, OwnerId, OwnerIds, Reply};
use crate::mode::Mode;

/// The question of an attempt, as far as it matters for reading the answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Question {
    Acquire { tokens: u32 },
    Renew,
    Reserve,
    Release,
}

impl Question {
    pub(super) fn of(attempt: &Attempt) -> Self {
        match attempt.op {
            Op::Acquire { .. } => Self::Acquire {
                tokens: attempt.claim.tokens,
            },
            Op::Renew { .. } => Self::Renew,
            Op::Reserve { .. } => Self::Reserve,
            Op::Release { .. } => Self::Release,
        }
    }
}

/// A lease that was handed to a waiter.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Handoff {
    pub(super) owner: OwnerId,
    pub(super) granted: Granted,
    pub(super) ttl: Duration,
    /// The time of the handoff on the server's clock, in microseconds.
    pub(super) at: u64,
}

/// The answer to a call.
#[derive(Debug)]
pub(super) struct Answer {
    /// The server's time in microseconds, if the call had to read it.
    pub(super) time: Option<u64>,
    /// The outcome of each attempt.
    pub(super) outcomes: Vec<Outcome>,
}

pub(super) fn read_answer(
    questions: impl ExactSizeIterator<Item = Question>,
    answer: &Value,
) -> Option<Answer> {
    let Value::Array(parts) = answer else {
        return read_short(questions, answer);
    };
    let (head, answers) = parts.split_first()?;
    if answers.len() != questions.len() {
        return None;
    }
    let (_, time) = read_head(text(head)?)?;
    let outcomes = questions
        .zip(answers)
        .map(|(question, answer)| read(question, text(answer).ok_or_else(failure::malformed)?));
    Some(Answer {
        time,
        outcomes: outcomes.collect(),
    })
}

/// Reads the answer to one attempt that went the short way.
fn read_short(
    mut questions: impl ExactSizeIterator<Item = Question>,
    answer: &Value,
) -> Option<Answer> {
    let (_, token) = read_head(text(answer)?)?;
    let question = questions.next()?;
    let reply = match (question, token) {
        (Question::Acquire { tokens }, Some(first)) => all_of(first, tokens).map(Reply::Granted),
        (Question::Release, None) => Some(Reply::Released),
        _ => None,
    };
    (questions.len() == 0).then(|| Answer {
        time: None,
        outcomes: vec![reply.ok_or_else(failure::malformed)],
    })
}

/// Returns the number of the call that the answer belongs to. An unexpected number means that an
/// answer was lost, so that all later ones would be assigned to the wrong calls.
pub(super) fn read_call(answer: &Value) -> Option<u64> {
    let head = match answer {
        Value::Array(parts) => parts.first()?,
        short => short,
    };
    read_head(text(head)?).map(|(call, _)| call)
}

/// Reads the number of a call, and what may come with it.
fn read_head(head: &str) -> Option<(u64, Option<u64>)> {
    match head.split_once(':') {
        Some((call, rest)) => Some((number(call)?, Some(number(rest)?))),
        None => Some((number(head)?, None)),
    }
}

fn read(question: Question, answer: &str) -> Outcome {
    let rest = |prefix| answer.strip_prefix(prefix);
    if let Some(error) = rest('e') {
        return Err(failure::of_attempt(error));
    }
    let reply = match question {
        Question::Acquire { tokens } => match (answer, rest('g'), rest('h')) {
            ("t", ..) => Some(Reply::Tombstoned),
            (_, Some(granted), _) => read_granted(granted).map(Reply::Granted),
            (_, _, Some(held)) => read_held(held),
            (other, ..) if other.starts_with('m') => read_mode(&other[1..]).map(Reply::OtherMode),
            (first, ..) => number(first)
                .and_then(|first| all_of(first, tokens))
                .map(Reply::Granted),
        },
        Question::Renew => match answer {
            "n" => Some(Reply::Gone),
            "k0" => Some(Reply::Renewed { contended: false }),
            "k1" => Some(Reply::Renewed { contended: true }),
            _ => None,
        },
        Question::Reserve => match (answer, rest('g')) {
            ("n", _) => Some(Reply::Gone),
            (_, Some(granted)) => read_granted(granted).map(Reply::Reserved),
            _ => None,
        },
        Question::Release => (answer == "d").then_some(Reply::Released),
    };
    reply.ok_or_else(failure::malformed)
}

/// "time left:holder", where the holder may be missing.
fn read_held(text: &str) -> Option<Reply> {
    let (left, holder) = text.split_once(':').unwrap_or((text, ""));
    Some(Reply::Held {
        ends_in: read_left(left)?,
        holder: (!holder.is_empty()).then(|| holder.into()),
    })
}

/// As the script writes a mode: "x", "s", or "p" and the number of permits.
fn read_mode(text: &str) -> Option<Mode> {
    match (text, text.strip_prefix('p')) {
        ("x", _) => Some(Mode::Exclusive),
        ("s", _) => Some(Mode::Shared),
        (_, Some(permits)) => Some(Mode::Permits {
            permits: permits.parse().ok()?,
            weight: 1,
        }),
        _ => None,
    }
}

/// A key without a ttl is not ours; as far as we know, it is held for ever.
fn read_left(text: &str) -> Option<Duration> {
    let left: i64 = text.parse().ok()?;
    Some(u64::try_from(left).map_or(Duration::MAX, Duration::from_millis))
}

/// A grant of all tokens asked for, while no other owner waits.
fn all_of(first: u64, tokens: u32) -> Option<Granted> {
    let is_sound = first > 0 && tokens > 0;
    is_sound.then_some(Granted {
        tokens: first..first.checked_add(tokens.into())?,
        contended: false,
    })
}

fn read_granted(text: &str) -> Option<Granted> {
    let mut parts = text.split(':');
    let first: u64 = number(parts.next()?)?;
    let count: u64 = number(parts.next()?)?;
    let contended = number(parts.next()?)? > 0;
    let is_sound = parts.next().is_none() && count > 0 && first > 0;
    is_sound.then_some(Granted {
        tokens: first..first.checked_add(count)?,
        contended,
    })
}

/// Reads the message that notifies a waiter of this pool of its lease.
pub(super) fn read_handoff(message: &Value, pool: &OwnerIds) -> Option<Handoff> {
    let (owner, rest) = text(message)?.strip_prefix("1:")?.split_once(':')?;
    let (rest, at) = rest.rsplit_once(':')?;
    let (granted, ttl) = rest.rsplit_once(':')?;
    Some(Handoff {
        owner: pool.parse(owner)?,
        granted: read_granted(granted)?,
        ttl: Duration::from_millis(number(ttl)?),
        at: number(at)?,
    })
}

/// Reads digits only: `parse` would take a sign too.
fn number(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(text) => std::str::from_utf8(text).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{BackendErrorKind, LeaseId};

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn granted(tokens: std::ops::Range<u64>, contended: bool) -> Granted {
        Granted { tokens, contended }
    }

    const ACQUIRE: Question = Question::Acquire { tokens: 3 };

    #[test]
    fn answers_are_read() {
        let acquire = |text| read(ACQUIRE, text).unwrap();
        let first = 1_764_000_000_000_007;
        assert_eq!(
            acquire("g1764000000000007:2:1"),
            Reply::Granted(granted(first..first + 2, true))
        );
        assert_eq!(
            acquire("1764000000000007"),
            Reply::Granted(granted(first..first + 3, false))
        );
        let ends_in = Duration::from_millis(1500);
        let held = |ends_in, holder: Option<&str>| Reply::Held {
            ends_in,
            holder: holder.map(Into::into),
        };
        assert_eq!(acquire("h1500"), held(ends_in, None));
        let named = held(ends_in, Some("shop-1/7 shop::pay"));
        assert_eq!(acquire("h1500:shop-1/7 shop::pay"), named);
        let permits = Mode::Permits {
            permits: 5,
            weight: 1,
        };
        for (text, mode) in [
            ("mx", Mode::Exclusive),
            ("ms", Mode::Shared),
            ("mp5", permits),
        ] {
            assert_eq!(acquire(text), Reply::OtherMode(mode));
        }
        let ends_in = Duration::MAX;
        assert_eq!(acquire("h-1"), held(ends_in, None));
        assert_eq!(acquire("t"), Reply::Tombstoned);
        let renew = |text| read(Question::Renew, text).unwrap();
        assert_eq!(renew("k0"), Reply::Renewed { contended: false });
        assert_eq!(renew("k1"), Reply::Renewed { contended: true });
        assert_eq!(renew("n"), Reply::Gone);
        let reserve = |text| read(Question::Reserve, text).unwrap();
        assert_eq!(reserve("g70:2:1"), Reply::Reserved(granted(70..72, true)));
        assert_eq!(reserve("n"), Reply::Gone);
        let out_of_memory = read(ACQUIRE, "eOOM command not allowed").unwrap_err();
        assert!(out_of_memory.passing && !out_of_memory.maybe_executed);
    }

    #[test]
    fn the_answer_to_one_attempt_may_be_short() {
        let one = |question, text| {
            let answer = read_answer([question].into_iter(), &bulk(text))?;
            answer.outcomes.into_iter().next().unwrap().ok()
        };
        let reply = Reply::Granted(granted(70..73, false));
        assert_eq!(one(ACQUIRE, "7:70"), Some(reply));
        assert_eq!(one(Question::Release, "7"), Some(Reply::Released));
        for (question, text) in [
            (ACQUIRE, "7"),
            (ACQUIRE, "7:0"),
            (ACQUIRE, "7:18446744073709551615"),
            (ACQUIRE, "7:70:3:0"),
            (Question::Renew, "7"),
            (Question::Renew, "7:70"),
            (Question::Release, "7:70"),
            (Question::Release, "d"),
            (Question::Release, ""),
        ] {
            assert_eq!(one(question, text), None, "{question:?} {text}");
        }
        let two = [Question::Release, Question::Release];
        assert!(read_answer(two.into_iter(), &bulk("7")).is_none());
        assert!(read_answer([].into_iter(), &bulk("7")).is_none());
    }

    #[test]
    fn a_handoff_is_read_by_its_own_pool_and_version_only() {
        let (pool, other) = (OwnerIds::from_bits([1; 16]), OwnerIds::from_bits([2; 16]));
        let owner = pool.first(LeaseId(31));
        let message = |version: &str, rest: &str| bulk(&format!("{version}{owner}:{rest}"));
        let sound = message("1:", "70:2:1:400:1764000000000000");
        let handoff = read_handoff(&sound, &pool).unwrap();
        assert_eq!(handoff.owner, owner);
        assert_eq!(handoff.granted, granted(70..72, true));
        assert_eq!(handoff.ttl, Duration::from_millis(400));
        assert_eq!(handoff.at, 1_764_000_000_000_000);
        assert_eq!(read_handoff(&sound, &other), None);
        let grants_none = message("1:", "70:0:1:400:1");
        assert_eq!(read_handoff(&grants_none, &pool), None);
        assert_eq!(read_handoff(&bulk(&format!("1:{owner}")), &pool), None);
        for version in ["", "0:", "2:", "11:", ":", "1w:"] {
            let message = message(version, "70:2:1:400:1764000000000000");
            assert_eq!(read_handoff(&message, &pool), None, "{version}");
        }
    }

    #[test]
    fn an_answer_tells_which_call_it_is_for() {
        let answer = |text: &str| Value::Array(vec![bulk(text), bulk("d")]);
        for text in ["7", "7:1764000000000000"] {
            assert_eq!(read_call(&answer(text)), Some(7));
            assert_eq!(read_call(&bulk(text)), Some(7));
        }
        for text in ["", ":1", "+7", "7:", "7:7:7", "7:+1", "-7"] {
            assert_eq!(read_call(&answer(text)), None, "{text}");
            assert_eq!(read_call(&bulk(text)), None, "{text}");
        }
        assert_eq!(read_call(&Value::Nil), None);
    }

    #[test]
    fn nonsense_is_never_a_lease() {
        for text in [
            "",
            "0",
            "+5",
            "-5",
            "5.0",
            "18446744073709551615",
            "g",
            "g:1:0",
            "g-5:1:0",
            "g0:1:0",
            "g5:0:0",
            "g5:1",
            "g5:1:0:0",
            "g1.7e+15:1:0",
            "g99999999999999999999:1:0",
            "g18446744073709551615:9:0",
            "g+5:1:0",
            "d",
            "x1",
            "m",
            "mp",
            "mp-5",
            "my",
            "h",
            "h:shop",
        ] {
            let failure = read(ACQUIRE, text).unwrap_err();
            assert_eq!(failure.error.kind(), BackendErrorKind::Malformed, "{text}");
            assert!(failure.maybe_executed);
        }
        for head in ["+5", "-5:1", "", ":1", "5.0:1", "5:"] {
            let answer = Value::Array(vec![bulk(head)]);
            assert!(read_answer([].into_iter(), &answer).is_none(), "{head}");
        }
        for value in [Value::Nil, Value::Okay, Value::Int(1)] {
            let answer = Value::Array(vec![bulk("1"), value.clone()]);
            let answer = read_answer([ACQUIRE].into_iter(), &answer).unwrap();
            assert!(answer.outcomes[0].is_err());
            assert!(read_answer([Question::Release].into_iter(), &value).is_none());
        }
        for text in ["d", "5", "k", "k2", "g70:2:1"] {
            assert!(read(Question::Renew, text).is_err(), "{text}");
        }
        for text in ["d", "5", "k0", "g0:0:0", "g70:0:1"] {
            assert!(read(Question::Reserve, text).is_err(), "{text}");
        }
        assert!(read(Question::Release, "n").is_err());
        assert!(read(Question::Release, "5").is_err());
    }
}
