//! Stub of the crate docs.
#![forbid(unsafe_code)]

mod backend;
mod error;
mod hold;
mod key;
mod spec;
mod timing;

pub use backend::BackendError;
pub use error::{Error, LossReason};
pub use hold::{Lease, LockPool};
pub use lockattr_macros::distributed_lock;
pub use spec::{OnLost, Wait};

#[doc(hidden)]
pub mod __private;
