//! What holds for every answer and message, whoever wrote it.

use redis::Value;

use super::names::{Names, bucket};
use super::reply::{Question, read_answer, read_handoff};
use crate::backend::OwnerIds;
use crate::backend::{Event, Op, Reply};
use crate::clock::Time;
use crate::key::Key;
use crate::label::Label;
use crate::protocol::{Batch, Keeper, Limits, Notice, Terms};
use crate::spec::Wait;
use std::time::Duration;

/// The pool that messages have to name to be read.
pub const POOL: [u8; 16] = [0xab; 16];

/// The name of a lock on the server.
pub fn lock_name(prefix: &str, key: &Key) -> String {
    Names::new(prefix.to_owned()).lock(bucket(key), key)
}

/// Reads an answer to the given questions.
///
/// # Panics
///
/// When an answer is taken for one to another question, or for a lease without a token.
pub fn batch(questions: &[u8], answer: &Value) {
    let questions: Vec<Question> = questions
        .iter()
        .map(|byte| match byte % 3 {
            0 => Question::Acquire { tokens: 3 },
            1 => Question::Renew,
            _ => Question::Release,
        })
        .collect();
    let Some(answer) = read_answer(questions.iter().copied(), answer) else {
        return;
    };
    let outcomes = answer.outcomes;
    assert_eq!(outcomes.len(), questions.len());
    for outcome in questions.into_iter().zip(outcomes) {
        match outcome {
            (Question::Acquire { .. }, Ok(Reply::Granted(granted))) => {
                assert!(granted.tokens.start > 0 && !granted.tokens.is_empty());
            }
            (Question::Renew, Ok(Reply::Renewed(granted))) => {
                assert!(granted.tokens.start > 0 || granted.tokens.is_empty());
            }
            (Question::Acquire { .. }, Ok(Reply::Held { .. } | Reply::Tombstoned))
            | (Question::Renew, Ok(Reply::Gone))
            | (Question::Release, Ok(Reply::Released))
            | (_, Err(_)) => {}
            (question, reply) => panic!("{question:?} answered by {reply:?}"),
        }
    }
}

/// Lets one acquisition live on such answers and messages.
///
/// # Panics
///
/// When it gets a lease without a token.
pub fn life(answers: &[Value]) {
    let limits = Limits {
        in_flight: 8,
        response_timeout: Duration::from_secs(1),
        claim_window: Duration::from_secs(1),
        batch: Batch {
            size: 8,
            time: Duration::from_millis(5),
        },
    };
    let owners = OwnerIds::from_bits(POOL);
    let pool = owners.pool().to_owned();
    let mut keeper = Keeper::new(limits, owners, fastrand::Rng::with_seed(1));
    let terms = Terms {
        key: Key::new("k").expect("it is a key"),
        ttl: Duration::from_secs(1),
        wait: Wait::Forever,
        renew: true,
        max_hold: None,
        label: Label::Function {
            module: "fuzz",
            function: "life",
        },
    };
    let mut now = Time::from_nanos(1_000_000_000_000);
    keeper.acquire(now, 1, terms, 8);
    for answer in answers {
        if let Some(handoff) = read_handoff(answer, &pool) {
            let since = super::answers::since((now, 1_000_000), handoff.at).min(now);
            let event = Event::Granted {
                acquisition: handoff.acquisition,
                generation: handoff.generation,
                granted: handoff.granted,
                since,
                ttl: handoff.ttl,
            };
            keeper.on_event(now, event);
        } else if let Some(attempt) = keeper.next_attempt(now) {
            let is_release = matches!(attempt.op, Op::Release { .. });
            let reply = Value::Array(vec![Value::BulkString(b"1".to_vec()), answer.clone()]);
            let answer = read_answer([Question::of(&attempt)].into_iter(), &reply);
            let outcome = answer.and_then(|mut answer| answer.outcomes.pop());
            if let Some(outcome) = outcome {
                keeper.on_event(now, Event::Done(attempt.id, outcome));
            } else if is_release {
                keeper.release_all(now);
            }
        }
        while let Some((_, notice)) = keeper.next_notice() {
            if let Notice::Acquired {
                granted,
                valid_until,
            } = notice
            {
                assert!(granted.tokens.start > 0 && !granted.tokens.is_empty());
                assert!(valid_until <= now + Duration::from_secs(1));
            }
        }
        now = keeper
            .wakeup()
            .min(now + Duration::from_millis(100))
            .max(now);
        keeper.on_time(now);
    }
}
