#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod all_or_nothing;
mod asked_key;
mod assert_held;
pub mod backend;
#[cfg(feature = "blocking")]
mod blocking;
mod busy;
mod clock;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod current;
mod diagnosis;
mod doctor;
mod driver;
mod error;
#[cfg(any(
    feature = "actix-web",
    feature = "axum",
    feature = "tonic",
    feature = "tower"
))]
mod frameworks;
mod guard;
mod hold;
mod holder;
mod key;
mod key_macro;
mod keys;
mod label;
mod leader;
pub mod listener;
mod lock_order;
#[cfg(feature = "metrics")]
mod metrics;
mod mode;
#[cfg(test)]
mod model_check;
mod pool;
mod protocol;
mod queue;
mod request;
mod service_url;
mod spec;
mod stall;
mod template;
#[cfg(feature = "testing")]
pub mod testing;
mod timing;

pub use asked_key::Key;
#[cfg(feature = "redis")]
pub use backend::redis::RedisOptions;
pub use busy::Busy;
pub use current::current;
pub use diagnosis::{Diagnosis, Finding, Severity, Topic};
pub use doctor::doctor;
pub use driver::{Lease, PoolStats};
pub use error::{BackendError, BackendErrorKind, Error, LossReason};
#[cfg(any(feature = "actix-web", feature = "axum"))]
pub use frameworks::Problem;
#[cfg(feature = "tower")]
pub use frameworks::{LockLayer, LockService};
pub use guard::Guard;
pub use holder::Holder;
pub use leader::{Election, Leadership, lead};
pub use lockattr_macros::distributed_lock;
pub use mode::Mode;
#[cfg(feature = "serde")]
pub use pool::PoolSettings;
pub use pool::{Holders, LockPool, LockPoolBuilder};
pub use queue::{Queue, Waiter};
pub use request::{Acquire, LockRequest};
pub use spec::{OnLost, Release, Wait};

#[cfg(all(fuzzing, feature = "redis"))]
#[doc(hidden)]
pub mod fuzzing;

#[doc(hidden)]
pub mod __private;

/// Users send these types between threads and keep them where they can move; share them between threads;
/// and use them after a panic that they have caught.
const _: () = {
    use std::panic::{RefUnwindSafe, UnwindSafe};

    const fn is_sent<T: Send + Unpin + 'static>() {}
    const fn is_shared<T: Send + Sync + Unpin + 'static>() {}
    const fn is_robust<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + 'static>() {}

    is_sent::<Acquire>();
    // It holds what a backend of the user's own is made with.
    is_shared::<(LockPoolBuilder, Holders)>();
    is_robust::<(LockPool, LockRequest, Guard, Lease, Election, Leadership)>();
    is_robust::<(Key, Mode, OnLost, Release, Wait)>();
    is_robust::<(
        Error,
        LossReason,
        Busy,
        BackendError,
        BackendErrorKind,
        Holder,
        Queue,
        Waiter,
    )>();
    is_robust::<(PoolStats, Diagnosis, Finding, Severity, Topic)>();
    #[cfg(feature = "redis")]
    is_robust::<RedisOptions>();
    #[cfg(feature = "serde")]
    is_robust::<PoolSettings>();
    #[cfg(any(feature = "actix-web", feature = "axum"))]
    is_robust::<Problem>();
};
