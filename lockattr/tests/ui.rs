//! What the compiler says about wrong attributes, and about right ones on wrong bodies.
//!
//! `TRYBUILD=overwrite cargo test -p lockattr --test ui` writes the expected messages anew.

#[test]
fn compile_errors() {
    trybuild::TestCases::new().compile_fail("../lockattr-macros/tests/ui/*/*.rs");
}
