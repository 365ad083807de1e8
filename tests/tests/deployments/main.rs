//! Tests of more than one server.
//!
//! One binary, because each takes seconds to build.

mod sentinel;
