//! What holds for every answer and message, whatever its source.

use std::collections::VecDeque;
use std::time::Duration;

use redis::Value;

use super::names::{Names, bucket};
use super::reply::{Question, read_answer, read_handoff};
use crate::backend::{Attempt, Event, OwnerIds, Reply, memory};
use crate::clock::Time;
use crate::key::Key;
use crate::label::{Function, Label};
use crate::mode::Mode;
use crate::protocol::{Batch, Caller, Coordinator, Effect, Limits, Terms};
use crate::spec::Wait;

/// The pool that messages have to name, or they are not read.
pub const POOL: [u8; 16] = [0xab; 16];

/// Returns the name of a lock on the server.
pub fn lock_name(prefix: &str, key: &Key) -> String {
    Names::new(prefix.to_owned()).lock(bucket(key.as_str()), key)
}

/// Reads an answer to the given questions.
///
/// # Panics
///
/// If an answer is taken for the answer to another question, or for a lease without a token.
pub fn batch(questions: &[u8], answer: &Value) {
    let questions: Vec<Question> = questions
        .iter()
        .map(|byte| match byte % 4 {
            0 => Question::Acquire { tokens: 3 },
            1 => Question::Renew,
            2 => Question::Reserve,
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
            (Question::Acquire { .. }, Ok(Reply::Granted(granted)))
            | (Question::Reserve, Ok(Reply::Reserved(granted))) => {
                assert!(granted.tokens.start > 0 && !granted.tokens.is_empty());
            }
            (
                Question::Acquire { .. },
                Ok(Reply::Held { .. } | Reply::Tombstoned | Reply::OtherMode(_)),
            )
            | (Question::Renew, Ok(Reply::Renewed { .. } | Reply::Gone))
            | (Question::Reserve, Ok(Reply::Gone))
            | (Question::Release, Ok(Reply::Released))
            | (_, Err(_)) => {}
            (question, reply) => panic!("{question:?} answered by {reply:?}"),
        }
    }
}

/// A caller without a trace.
#[derive(Debug)]
struct Nobody;

impl Caller for Nobody {
    type Trace = ();

    fn trace(&self) {}
}

/// Runs one lease on these answers and messages.
///
/// # Panics
///
/// If the lease comes without a token, or for longer than was asked for.
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
    let jitter = fastrand::Rng::with_seed(1);
    let mut coordinator: Coordinator<Nobody, ()> =
        Coordinator::new(limits, memory::capabilities(), owners.clone(), jitter);
    let terms = Terms {
        key: Key::new("k").expect("it is a key"),
        ttl: Duration::from_secs(1),
        wait: Wait::Forever,
        renew: true,
        max_hold: None,
        confirmation: None,
        mode: Mode::Exclusive,
        min_hold: None,
        label: Label::Function(&Function {
            path: "fuzz::life",
            keys: "k",
        }),
    };
    let mut now = Time::from_nanos(1_000_000_000_000);
    drop(coordinator.acquire(now, terms.into(), Nobody));
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut effects = VecDeque::new();
    for answer in answers {
        coordinator.send(now, |_, waiting| waiting, &mut attempts);
        if let Some(handoff) = read_handoff(answer, &owners) {
            let since = super::answers::since((now, 1_000_000), handoff.at).min(now);
            let event = Event::HandedOver {
                owner: handoff.owner,
                granted: handoff.granted,
                since,
                ttl: handoff.ttl,
            };
            coordinator.on_event(now, event);
        } else if let Some(attempt) = attempts.pop() {
            let reply = Value::Array(vec![Value::BulkString(b"1".to_vec()), answer.clone()]);
            let answer = read_answer([Question::of(&attempt)].into_iter(), &reply);
            if let Some(outcome) = answer.and_then(|mut answer| answer.outcomes.pop()) {
                coordinator.on_event(now, Event::Done(attempt.id, outcome));
            }
        }
        coordinator.swap_effects(&mut effects);
        for effect in effects.drain(..) {
            if let Effect::Granted {
                token, valid_until, ..
            } = effect
            {
                assert!(token > 0);
                assert!(valid_until <= now + Duration::from_secs(1));
            }
        }
        let later = now + Duration::from_millis(100);
        now = coordinator.wakeup().min(later).max(now);
        coordinator.on_time(now);
        coordinator.take_overdue();
    }
}
