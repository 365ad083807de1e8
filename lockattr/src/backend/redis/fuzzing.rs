//! What the fuzz targets reach: in no ordinary build.

use redis::Value;

use super::names::{Names, bucket};
use super::reply::{self, Question};
use crate::backend::{Granted, Reply};
use crate::key::Key;

/// Whatever the bytes are, what is read from them is an error or makes sense.
pub fn reply(bytes: &[u8]) {
    if let Ok(value) = redis::parse_redis_value(bytes) {
        read(&value);
    }
    // The same as the words of an answer that is sound as a whole.
    let words = bytes.split(|byte| *byte == 0);
    let words: Vec<Value> = words.map(|word| Value::BulkString(word.to_vec())).collect();
    for word in &words {
        read(word);
    }
    read(&Value::Array(words));
}

fn read(value: &Value) {
    if let Some(handoff) = reply::read_handoff(value, "pool") {
        expect_sound(&handoff.granted);
    }
    let all = [Question::Acquire, Question::Renew, Question::Release];
    for length in 0..=all.len() {
        for first in 0..=all.len() - length {
            let questions = all[first..first + length].iter().copied();
            let Some((_, outcomes)) = reply::read_batch(questions, value) else {
                continue;
            };
            for outcome in outcomes.into_iter().flatten() {
                if let Reply::Granted(granted) = &outcome {
                    expect_sound(granted);
                }
            }
        }
    }
}

fn expect_sound(granted: &Granted) {
    assert!(
        granted.tokens.start > 0 && !granted.tokens.is_empty(),
        "{granted:?}"
    );
}

/// The name of a lock; its first braces are those of its bucket, whatever the key is.
pub fn name(key: &str) -> Option<String> {
    let key = Key::new(key).ok()?;
    let bucket = bucket(&key);
    let name = Names::new("lockattr".to_owned()).lock(bucket, &key);
    let (start, end) = (name.find('{')?, name.find('}')?);
    assert_eq!(name[start + 1..end], format!("{bucket:03x}"));
    Some(name)
}
