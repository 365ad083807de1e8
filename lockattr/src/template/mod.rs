//! Renders key templates at run time, so that different values make different keys.
//!
//! `format_args!` mixes the template's own text and the values into one stream. Each value is
//! therefore wrapped in a [`Value`], which sets a flag while it writes; the sink encodes all text
//! that arrives while the flag is set. No text can change the flag.

mod expression;
mod render;
mod values;

#[cfg(test)]
mod tests;

pub use expression::expression;
pub use render::key;
pub use values::{Value, Values};
