#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod asked_key;
mod assert_held;
pub mod backend;
#[cfg(feature = "blocking")]
mod blocking;
mod clock;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod current;
mod diagnosis;
mod doctor;
mod driver;
mod error;
mod guard;
mod hold;
mod key;
mod key_macro;
mod label;
mod mode;
#[cfg(test)]
mod model_check;
mod pool;
mod protocol;
mod request;
mod service_url;
mod spec;
mod stall;
mod template;
mod timing;

pub use asked_key::Key;
#[cfg(feature = "redis")]
pub use backend::redis::RedisOptions;
pub use current::current;
pub use diagnosis::{Diagnosis, Finding, Severity, Topic};
pub use doctor::doctor;
pub use driver::{Lease, PoolStats};
pub use error::{BackendError, BackendErrorKind, Error, LossReason};
pub use guard::Guard;
pub use lockattr_macros::distributed_lock;
pub use mode::Mode;
pub use pool::{LockPool, LockPoolBuilder};
pub use request::{Acquire, LockRequest};
pub use spec::{OnLost, Release, Wait};

#[cfg(all(fuzzing, feature = "redis"))]
#[doc(hidden)]
pub mod fuzzing;

#[doc(hidden)]
pub mod __private;

/// Users share these types between threads, and send them between tasks.
const _: () = {
    const fn is_shared<T: Send + Sync + 'static>() {}
    is_shared::<(LockPool, LockPoolBuilder, LockRequest, Guard, Lease)>();
    is_shared::<(Error, LossReason, BackendError, PoolStats, Diagnosis)>();
};
