//! `when`: calls that need no lock.

use crate::current;

/// Says that a body runs without its lock.
pub fn unlocked() {
    if let Some(call) = current::running() {
        let function = call.asked().label();
        tracing::debug!(%function, "`when` is false: the body runs without a lock");
    }
}
