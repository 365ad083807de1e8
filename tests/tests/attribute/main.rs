//! The attribute on functions of all kinds, mostly in memory.
//!
//! These tests are built without optimisation; next to the library, which is optimised for its
//! model checker, their build would take four times as long.

mod conditions;
mod drop_order;
mod keys;
mod nesting;
mod options;
mod several;
mod shapes;
