//! What the expansion of `#[distributed_lock]` names. No public API: it changes without notice.

mod outcome;
mod pool;
mod skip;

pub use core::format_args;
pub use core::time::Duration;

pub use crate::asked_key::{checked, user_key};
pub use crate::assert_held::assert_held;
pub use crate::hold::{hold, hold_or};
pub use crate::key::Key;
pub use crate::pool::PoolSource;
pub use crate::spec::Spec;
pub use crate::template::{Value, Values, expression, key};
pub use lockattr_macros::{assert_held, key};
pub use outcome::{CarriesLockError, Outcome, handler, never};
pub use pool::{AsPool, given, installed, named};
pub use skip::{Fallible, Infallible, OfResult, OfValue, Skip, SkipsTo};
