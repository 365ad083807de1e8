//! Where the pool of an attribute comes from.

use std::sync::Arc;

use crate::LockPool;
use crate::pool::PoolSource;

/// The pool of the scope, or else the global one.
#[must_use]
pub const fn installed() -> PoolSource {
    PoolSource::Installed
}

/// `pool = "reports"`
#[must_use]
pub const fn named(name: &'static str) -> PoolSource {
    PoolSource::Named(name)
}

/// `pool = self.locks`
#[must_use]
pub fn given<P: AsPool + ?Sized>(pool: &P) -> PoolSource {
    PoolSource::Given(pool.as_pool().clone())
}

/// A place that a pool can be taken from.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no pool",
    label = "expected a `LockPool`, `&LockPool` or `Arc<LockPool>`",
    note = "a pool installed under a name is written as a string: `pool = \"reports\"`"
)]
pub trait AsPool {
    /// The pool.
    fn as_pool(&self) -> &LockPool;
}

impl AsPool for LockPool {
    fn as_pool(&self) -> &LockPool {
        self
    }
}

impl<P: AsPool + ?Sized> AsPool for &P {
    fn as_pool(&self) -> &LockPool {
        (**self).as_pool()
    }
}

impl<P: AsPool + ?Sized> AsPool for Arc<P> {
    fn as_pool(&self) -> &LockPool {
        (**self).as_pool()
    }
}
