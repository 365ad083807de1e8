//! What a pool counts: at least everything that cannot be returned to a caller.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts of a pool since it was built.
        ///
        /// # Examples
        ///
        /// ```
        /// # #[tokio::main(flavor = "current_thread")]
        /// # async fn main() -> Result<(), lockattr::Error> {
        /// let pool = lockattr::LockPool::memory().await?;
        /// pool.lock("k").acquire().await?.release().await;
        /// assert_eq!(pool.stats().acquired, 1);
        /// # Ok(())
        /// # }
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub struct PoolStats {
            $($(#[$doc])* pub $name: u64,)*
        }

        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)*
        }

        impl Counters {
            pub(crate) fn read(&self) -> PoolStats {
                let own = PoolStats { $($name: self.$name.read(),)* };
                PoolStats { unreported: UNREPORTED.read(), ..own }
            }
        }
    };
}

counters! {
    /// Acquisitions that found the key held, and waited or gave up.
    waited,
    /// Leases granted.
    acquired,
    /// Of those, passed on from one task of the process to the next without a request to the lock
    /// service.
    passed_on,
    /// Leases that went to the next call because nothing polled their call's future within the
    /// claim window.
    missed,
    /// Callers refused because another call holds the key.
    busy,
    /// Callers refused because the lock service failed.
    failed,
    /// Successful renewals.
    renewed,
    /// Renewals that failed and were tried again, and reservations of tokens that failed.
    renewal_failed,
    /// Leases lost while they were held.
    lost,
    /// Releases confirmed by the lock service.
    released,
    /// Releases whose first attempt failed; they go on in the background.
    release_delayed,
    /// Releases never confirmed; those leases ended by their ttl.
    release_abandoned,
    /// Panics of the pool's I/O thread, after each of which it started over without its leases.
    restarted,
    /// Bodies that ran to their end although their lease was over.
    finished_after_loss,
    /// Bodies that were woken while they held their lease, and not polled for longer than its ttl:
    /// they kept their lock without using it.
    stalled,
    /// Errors that a function could not return (`on_busy = "skip"` without a `Result`), in the
    /// whole process.
    unreported,
}

/// Such an error may come from a missing pool, so one counter serves all pools.
static UNREPORTED: Counter = Counter(AtomicU64::new(0));

/// Counts an error that only the trace reports.
pub(crate) fn count_unreported() {
    UNREPORTED.add_one();
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
