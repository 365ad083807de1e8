//! What is taken for a duration is within its bounds.
#![no_main]
#![allow(dead_code)]

#[path = "../../lockattr-macros/src/duration.rs"]
mod duration;

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use proc_macro2::Span;
use syn::LitStr;

fuzz_target!(|text: &str| {
    let literal = LitStr::new(text, Span::call_site());
    if let Ok(ttl) = duration::ttl(&literal) {
        assert!(ttl >= Duration::from_millis(50) && ttl <= Duration::from_secs(24 * 60 * 60));
        assert_eq!(ttl.subsec_nanos() % 1_000_000, 0);
    }
    if let Ok(most) = duration::max_hold(&literal) {
        assert!(!most.is_zero());
    }
    let _ = duration::wait(&literal);
});
