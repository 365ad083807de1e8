//! A hostile or broken server gives errors: no panic, and no lease without a token.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| lockattr::fuzzing::reply(bytes));
