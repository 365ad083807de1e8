//! What the compiler says about wrong attributes, and about right ones on wrong bodies.
//!
//! `TRYBUILD=overwrite cargo test -p lockattr --test ui` writes the expected messages anew.

#[test]
fn compile_errors() {
    let cases = trybuild::TestCases::new();
    for stage in ["args", "template", "calls", "function", "types", "body"] {
        cases.compile_fail(format!("../lockattr-macros/tests/ui/{stage}/*.rs"));
    }
    cases.pass("../lockattr-macros/tests/ui/pass/*.rs");
}
