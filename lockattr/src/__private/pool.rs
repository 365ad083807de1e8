//! Where the pool of an attribute comes from.

use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use crate::LockPool;
use crate::pool::PoolSource;

/// Returns the pool of the scope, or else the global pool.
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

/// A value that contains a pool.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no pool",
    label = "expected a `LockPool`, or a `&`, `Arc`, `Rc`, `Box` or `LazyLock` of one",
    note = "of another smart pointer write what it points to: `pool = *POOL`",
    note = "a pool installed under a name is written as a string: `pool = \"reports\"`"
)]
pub trait AsPool {
    /// Returns the pool.
    fn as_pool(&self) -> &LockPool;
}

impl AsPool for LockPool {
    fn as_pool(&self) -> &LockPool {
        self
    }
}

macro_rules! pointers {
    ($($pointer:ty),+) => {$(
        impl<P: AsPool + ?Sized> AsPool for $pointer {
            fn as_pool(&self) -> &LockPool {
                (**self).as_pool()
            }
        }
    )+};
}

pointers!(&P, &mut P, Arc<P>, Rc<P>, Box<P>);

impl<P: AsPool, F: FnOnce() -> P> AsPool for LazyLock<P, F> {
    fn as_pool(&self) -> &LockPool {
        (**self).as_pool()
    }
}
