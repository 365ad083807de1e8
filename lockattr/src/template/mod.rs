//! The run-time half of key templates: rendering them so that different values give different keys.
//!
//! `format_args!` mixes the template's own text and the values into one stream. Each value is
//! therefore wrapped in a [`Value`], which raises a flag while it writes; the sink encodes what
//! arrives while the flag is up. Nothing inside the text can forge the flag.

mod expression;
mod render;
mod values;

#[cfg(test)]
mod tests;

pub use expression::expression;
pub use render::key;
pub use values::{Value, Values};
