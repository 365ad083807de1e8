//! The attribute on functions of all kinds, mostly in memory.
//!
//! They are built without optimisation; beside the library, which is optimised for its model checker,
//! they would take four times as long.

mod drop_order;
mod keys;
mod nesting;
mod options;
mod shapes;
