//! Locks for code without a runtime: the same calls, which block their thread.

mod block_on;
mod by_hand;

use crate::Error;
use crate::hold::{Ending, locked};
use crate::spec::Spec;
use block_on::block_on;

/// Runs `body`, which calls [`enter`](crate::hold::enter) and otherwise does not wait, under the
/// lock. `#[distributed_lock]` expands to this call on a function that is not `async`.
pub fn locked_blocking<F, H, E>(spec: &'static Spec, ending: E, refuse: H, body: F) -> F::Output
where
    F: Future,
    H: FnOnce(Error) -> F::Output,
    E: Ending<F::Output>,
{
    block_on(locked(spec, ending, refuse, body))
}
