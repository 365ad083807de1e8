//! Reading places in a queue as they are stored.

use redis::Value;

use super::super::failure;
use super::super::hello::text;
use crate::backend::BackendError;
use crate::mode::Mode;
use crate::queue::{Queue, Waiter};

/// Reads an answer of queue.lua.
///
/// # Errors
///
/// When it makes no sense.
pub(super) fn queue(answer: &Value) -> Result<Queue, BackendError> {
    read(answer).ok_or_else(|| failure::malformed().error)
}

fn read(answer: &Value) -> Option<Queue> {
    let Value::Array(parts) = answer else {
        return None;
    };
    let [Value::Int(count), places @ ..] = &parts[..] else {
        return None;
    };
    let waiter = |place| text(place).and_then(waiter).unwrap_or_default();
    let waiters: Vec<Waiter> = places.iter().map(waiter).collect();
    let more = usize::try_from(*count).ok()?.checked_sub(waiters.len())?;
    Some(Queue::new(waiters, more))
}

/// Returns `None` for a place in another format.
fn waiter(place: &str) -> Option<Waiter> {
    let (format, rest) = place.split_once(':')?;
    let (mode, rest) = match format {
        // owner:claim:tokens:channel:who
        "1" => (Mode::Exclusive, rest),
        // mode:weight:owner:claim:channel:who
        "1s" => {
            let (mode, rest) = rest.split_once(':')?;
            let (weight, rest) = rest.split_once(':')?;
            (share(mode, weight)?, rest)
        }
        _ => return None,
    };
    let before_who = if mode.is_exclusive() { 4 } else { 3 };
    let who = rest.splitn(before_who + 1, ':').nth(before_who)?;
    Some(Waiter::new(who, mode))
}

fn share(mode: &str, weight: &str) -> Option<Mode> {
    let weight = weight.parse().ok()?;
    match mode.strip_prefix('p') {
        Some(permits) => Some(Mode::permits(permits.parse().ok()?, weight)),
        None => (mode == "s").then_some(Mode::Shared),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(count: i64, places: &[&str]) -> Result<Queue, BackendError> {
        let places = places.iter().map(|text| text.as_bytes().to_vec());
        let mut parts = vec![Value::Int(count)];
        parts.extend(places.map(Value::BulkString));
        queue(&Value::Array(parts))
    }

    #[test]
    fn places_of_all_modes_are_read() {
        let places = [
            "1:0a0b-1-0:400:32:0a0b1:web/1 shop::pay:fast",
            "1s:s:1:0a0b-2-0:400:0a0b1:web/1 shop::price",
            "1s:p5:2:0a0b-3-0:400:0a0b1:web/1 shop::load",
        ];
        let queue = told(7, &places).unwrap();
        let read: Vec<_> = queue.waiters.iter().map(|it| (&*it.who, it.mode)).collect();
        let expected = [
            ("web/1 shop::pay:fast", Some(Mode::Exclusive)),
            ("web/1 shop::price", Some(Mode::Shared)),
            ("web/1 shop::load", Some(Mode::permits(5, 2))),
        ];
        assert_eq!(read, expected);
        assert_eq!((queue.more, queue.len()), (4, 7));
        assert!(!format!("{queue:?}").contains("0a0b"));
    }

    #[test]
    fn a_place_in_another_format_is_that_of_someone() {
        let foreign = [
            "",
            "hello",
            "2:owner:400:32:channel:who",
            "1:owner:400:32:channel",
            "1s:x:1:owner:400:channel:who",
            "1s:p:1:owner:400:channel:who",
            "1s:s:one:owner:400:channel:who",
        ];
        for place in foreign {
            assert_eq!(
                told(1, &[place]).unwrap().waiters,
                [Waiter::default()],
                "{place}"
            );
        }
    }

    #[test]
    fn an_answer_without_sense_is_an_error() {
        assert!(told(0, &["1:a:1:1:c:w"]).is_err(), "more than there are");
        for nonsense in [
            Value::Nil,
            Value::Array(Vec::new()),
            Value::Array(vec![Value::Nil]),
        ] {
            assert!(queue(&nonsense).is_err());
        }
        assert!(told(0, &[]).unwrap().is_empty());
    }
}
