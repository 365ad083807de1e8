//! What the compiler says about wrong attributes, and about right ones on wrong bodies. What must
//! compile is in `tests/tests/compiler`.
//!
//! `TRYBUILD=overwrite cargo test -p lockattr --test ui` writes the expected messages anew.

/// No case has to be built, so that trybuild checks all of them in one run of cargo.
#[test]
fn compile_errors() {
    let cases = trybuild::TestCases::new();
    for stage in ["args", "template", "calls", "function", "types", "body"] {
        cases.compile_fail(format!("../lockattr-macros/tests/ui/{stage}/*.rs"));
    }
}
