//! Bytes of a connection, through the client library's parser.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redis::Value;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else {
        return;
    };
    let Ok(answer) = redis::parse_redis_value(bytes) else {
        return;
    };
    let questions: Vec<u8> = (0..first % 4)
        .map(|n| (first >> 2).wrapping_add(n))
        .collect();
    lockattr::fuzzing::batch(&questions, &answer);
    match answer {
        Value::Array(parts) => lockattr::fuzzing::life(&parts),
        part => lockattr::fuzzing::life(&[part]),
    }
});
