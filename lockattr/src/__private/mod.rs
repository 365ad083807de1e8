//! What the expansion of `#[distributed_lock]` names. No public API: it changes without notice.

pub use core::format_args;

pub use crate::hold::hold;
pub use crate::key::Key;
pub use crate::pool::{AsPool, PoolSource};
pub use crate::spec::Spec;
