//! Durations of attributes, compared with a second parser of their grammar.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use proc_macro2::Span;
use syn::LitStr;

#[allow(unreachable_pub)]
#[path = "../../lockattr-macros/src/duration.rs"]
mod duration;

#[path = "../../lockattr-macros/src/duration/reference.rs"]
mod reference;

fuzz_target!(|text: &str| {
    let literal = LitStr::new(text, Span::call_site());
    let expected = reference::read(text);
    match duration::wait(&literal) {
        Ok(None) => assert_eq!(text.trim(), "forever"),
        Ok(Some(read)) => assert_eq!(Some(read), expected, "{text:?}"),
        Err(_) => {
            let is_plain = !text.contains('.') && text.len() <= 64;
            let beyond = expected.is_some_and(|span| span > Duration::from_secs(1_000_000_000));
            assert!(expected.is_none() || !is_plain || beyond, "{text:?}");
        }
    }
    if let Ok(ttl) = duration::ttl(&literal) {
        assert_eq!(Some(ttl), expected);
        assert!(ttl >= Duration::from_millis(50) && ttl <= Duration::from_secs(86_400));
        assert!(ttl.as_nanos() % 1_000_000 == 0);
    }
    for hold in [duration::max_hold(&literal), duration::min_hold(&literal)] {
        assert!(hold.map_or(true, |hold| !hold.is_zero()));
    }
});
