//! What the compiler says about wrong attributes, and about correct attributes on wrong bodies.
//! Code that must compile is in `tests/tests/compiler`.
//!
//! `TRYBUILD=overwrite cargo test -p lockattr --test ui` rewrites the expected messages.

/// No case has to be built, so trybuild checks all of them in one run of cargo.
#[test]
fn compile_errors() {
    let cases = trybuild::TestCases::new();
    for stage in ["args", "template", "calls", "function", "types", "body"] {
        cases.compile_fail(format!("../lockattr-macros/tests/ui/{stage}/*.rs"));
    }
    let plain = if cfg!(feature = "blocking") {
        "blocking"
    } else {
        "not_async"
    };
    cases.compile_fail(format!("../lockattr-macros/tests/ui/{plain}/*.rs"));
}
