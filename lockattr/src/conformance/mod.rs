//! Tests for a [`Backend`] of any crate (feature `conformance`).
//!
//! [`Conformance::check`] lets several processes of a fleet, each with its own backend, send
//! attempts to the lock service, for keys that are not used otherwise. It tests what every backend
//! must keep, and what this backend declares in its [`Capabilities`](crate::backend::Capabilities).
//! It takes some ten ttls.
//!
//! **Unstable:** as [`lockattr::backend`](crate::backend).
//!
//! # Examples
//!
//! ```no_run
//! # use lockattr::backend::{Backend, BackendError, OwnerIds};
//! # async fn connect(_: OwnerIds) -> Result<Box<dyn Backend>, BackendError> { std::future::pending().await }
//! #[tokio::test]
//! async fn it_conforms() -> Result<(), lockattr::conformance::Violations> {
//!     lockattr::conformance::Conformance::new(connect).check().await
//! }
//! # fn main() {}
//! ```

mod leases;
mod modes;
mod outcomes;
mod pools;
mod process;
mod queue;
mod told;

use std::fmt;
use std::time::Duration;

use crate::backend::engine::Connecting;
use crate::backend::{Backend, BackendError, BackendErrorKind, OwnerIds};
use crate::{Error, LockPoolBuilder};
use process::Fleet;

/// How often a check is made that fails where all is slow.
const TRIES: u32 = 5;

/// The result of one check.
type Checked = Result<(), String>;

/// Returns from the check with a violation.
macro_rules! violated {
    ($($text:tt)*) => {
        return Err(format!($($text)*))
    };
}
use violated;

/// Goes on if the value matches, and otherwise returns from the check with a violation.
macro_rules! expected {
    ($value:expr, $pattern:pat => $result:expr, $($text:tt)*) => {
        match $value {
            $pattern => $result,
            other => return Err(format!("{}: {other:?}", format_args!($($text)*))),
        }
    };
}
use expected;

/// The checks, and their settings.
pub struct Conformance<C> {
    connect: C,
    ttl: Duration,
    replicas: u8,
}

impl Conformance<()> {
    /// The checks of the lock service that pools with these settings use, such as a deployment of Redis
    /// with its proxies and its rights. Only the service and the way to it are taken from the settings.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// #[tokio::test]
    /// async fn it_conforms() -> Result<(), lockattr::conformance::Violations> {
    ///     let settings = lockattr::LockPool::builder().url("redis://redis.internal/");
    ///     lockattr::conformance::Conformance::of(settings).check().await
    /// }
    /// # fn main() {}
    /// ```
    pub fn of(
        settings: LockPoolBuilder,
    ) -> Conformance<impl Fn(OwnerIds) -> Connecting + Clone + Send + Sync + 'static> {
        Conformance::new(move |owners| -> Connecting {
            let connecting = settings.clone().connect_bare(owners);
            Box::pin(async move {
                connecting.await.map_err(|error| match error {
                    Error::Connect { source, .. } => source,
                    other => BackendError::new(BackendErrorKind::Refused, other.to_string()),
                })
            })
        })
    }
}

impl<C> Conformance<C> {
    /// `connect` as for [`LockPoolBuilder::backend`](crate::LockPoolBuilder::backend). It is called
    /// once for each process.
    pub fn new(connect: C) -> Self {
        Self {
            connect,
            ttl: Duration::from_secs(1),
            replicas: 0,
        }
    }

    /// Sets the ttl of the leases, which end by themselves in some checks. It should be longer than
    /// a dozen round trips. Defaults to 1 s.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Lets all renewals and reservations of the checks, and all calls of their pools, ask for this number
    /// of replicas, which the deployment must have. Defaults to 0.
    #[must_use]
    pub fn confirm_replicas(mut self, replicas: u8) -> Self {
        self.replicas = replicas;
        self
    }

    /// Runs all checks, one after the other. One that fails on a slow machine is made again, up to five
    /// times, if its leases may have ended by themselves meanwhile.
    ///
    /// # Errors
    ///
    /// [`Violations`] names each check that failed, and what it found.
    pub async fn check<B, F>(self) -> Result<(), Violations>
    where
        C: Fn(OwnerIds) -> F + Clone + Send + Sync + 'static,
        B: Backend,
        F: Future<Output = Result<B, BackendError>> + 'static,
    {
        let fleet = Fleet::new(self.connect, self.ttl, self.replicas);
        let mut found = Vec::new();
        macro_rules! run {
            ($make:ident, $($module:ident::$check:ident),* $(,)?) => {$(
                if let Err(what) = $make(&fleet, $module::$check).await {
                    found.push((stringify!($check), what));
                }
            )*};
        }
        // These keep an eye on the time themselves.
        run!(
            once,
            leases::a_lease_ends_by_itself_and_not_before,
            leases::a_renewal_prolongs_and_never_shortens,
            pools::calls_exclude_each_other,
            pools::cancelled_calls_leave_nothing,
        );
        run!(
            in_time,
            leases::one_owner_has_a_key,
            leases::one_of_many_at_once_has_it,
            leases::only_the_owner_changes_a_lease,
            leases::tokens_grow_from_grant_to_grant,
            outcomes::each_operation_is_idempotent,
            outcomes::a_tombstone_refuses_a_late_acquire,
            outcomes::a_release_comes_before_the_next_acquire,
            outcomes::each_attempt_ends_once,
            outcomes::an_overdue_attempt_does_no_harm,
        );
        let all = fleet.capabilities().await.unwrap_or_default();
        if all.has_queue() {
            run!(
                in_time,
                queue::waiters_come_in_turn,
                queue::a_lease_that_was_handed_over_is_one,
                queue::asking_again_keeps_the_place,
                queue::refused_and_cancelled_waiters_have_no_place,
                queue::nobody_overtakes_a_waiter_when_a_lease_ends,
                queue::a_waiter_that_is_gone_costs_its_claim,
                told::waiters_are_told_in_turn,
            );
        }
        if all.has_modes() {
            run!(
                in_time,
                modes::readers_come_together_and_writers_alone,
                modes::a_writer_that_leaves_lets_readers_in,
                modes::no_more_than_the_permits_are_taken,
                modes::other_modes_are_refused,
                modes::a_share_ends_by_itself,
            );
        }
        if all.has_min_hold() {
            run!(in_time, modes::min_hold_keeps_others_out);
        }
        if found.is_empty() {
            Ok(())
        } else {
            Err(Violations(found))
        }
    }
}

async fn once(fleet: &Fleet, check: impl AsyncFn(&Fleet) -> Checked) -> Checked {
    check(fleet).await
}

/// Makes a check. One that failed is made again if the service or the machine is slow: its leases may have
/// ended by themselves before it asked about them, or its backend may have given up waiting.
async fn in_time(fleet: &Fleet, check: impl AsyncFn(&Fleet) -> Checked) -> Checked {
    let mut tries = 0;
    loop {
        fleet.take_waited();
        let Err(what) = check(fleet).await else {
            return Ok(());
        };
        let waited = fleet.take_waited();
        tries += 1;
        if waited < fleet.ttl / 2 {
            return Err(what);
        }
        if tries == TRIES {
            let ttl = fleet.ttl;
            violated!("{what} (in {waited:?} of waiting; leases last {ttl:?}, perhaps too short)");
        }
    }
}

/// The violations that the checks found.
pub struct Violations(Vec<(&'static str, String)>);

impl Violations {
    /// Returns the names of the checks that failed.
    pub fn checks(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(check, _)| *check)
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the backend does not conform")?;
        for (check, what) in &self.0 {
            write!(f, "\n  {check}: {what}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Violations {
    /// Prints what a failing test shows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Violations {}

#[cfg(test)]
mod tests;
