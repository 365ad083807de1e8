//! The items that the expansion of `#[distributed_lock]` names. Not a public API: they change
//! without notice.

extern crate alloc;

mod ending;
mod handler;
mod outcome;
mod pool;
mod skip;
mod when;

pub use alloc::boxed::Box;
pub use core::format_args;
pub use core::future::Future;
pub use core::time::Duration;

pub use crate::asked_key::{checked, user_key};
pub use crate::assert_held::assert_held;
#[cfg(feature = "blocking")]
pub use crate::blocking::locked_blocking;
pub use crate::hold::{AwaitRelease, ReleaseInBackground, enter, enter_all, locked};
pub use crate::key::Key;
pub use crate::pool::PoolSource;
pub use crate::spec::Spec;
pub use crate::template::{Value, Values, expression, key};
pub use ending::{AnyOutput, ErrIsFailure, Output, ResultOutput, SendOutput, ValueOutput};
pub use handler::{Handler, Kept, busy, handler, kept, on_busy};
pub use lockattr_macros::{assert_held, key};
pub use outcome::{CarriesLockError, Outcome, never, refused};
pub use pool::{AsPool, given, installed, named};
pub use skip::{Fallible, Infallible, OfResult, OfValue, Skip, SkipsTo};
pub use when::unlocked;
