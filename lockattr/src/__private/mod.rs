//! What the expansion of `#[distributed_lock]` names. No public API: it changes without notice.

pub use core::format_args;

pub use crate::hold::{PoolSource, hold};
pub use crate::key::Key;
pub use crate::spec::Spec;
