//! What a thread waits for when it ends: the releases that are under way.
//!
//! A process that returns from `main` ends its I/O threads, and a runtime drops its last tasks,
//! with the locks that they hold, right before that. So every thread that built a pool or gave a
//! lease back (the main thread, whose destructors run after `main` has dropped its runtime, and the
//! runtime's workers, for whose ends the runtime waits) waits before it ends until the I/O thread
//! has the server's answers.

use std::cell::RefCell;
use std::mem;
use std::sync::PoisonError;
use std::sync::mpsc::{TryRecvError, channel};
use std::time::{Duration, Instant};

use super::{Commands, Reply, Shared, WeakCommands};

/// The longest delay of a thread's end.
const LONGEST: Duration = Duration::from_millis(500);

thread_local! {
    static POOLS: Pools = const { Pools(RefCell::new(Vec::new())) };
}

/// The pools whose releases the end of this thread waits for.
struct Pools(RefCell<Vec<WeakCommands>>);

/// Makes the end of this thread wait for the releases of a pool, no longer than one answer may
/// take.
pub(super) fn await_releases(commands: &Commands) {
    // A thread that is already ending cannot register a pool.
    let _ending = POOLS.try_with(|pools| {
        let mut pools = pools.0.borrow_mut();
        let is_it = |known: &WeakCommands| known.is_of(commands);
        if !pools.iter().rev().any(is_it) {
            pools.retain(|pool| pool.shared.has_thread());
            pools.push(commands.downgrade());
        }
    });
}

impl Drop for Pools {
    fn drop(&mut self) {
        let start = Instant::now();
        let mut pools = mem::take(self.0.get_mut());
        // In a forked process no I/O thread answers.
        pools.retain(|pool| pool.shared.check_process().is_ok());
        // All pools are asked before the first answer is awaited.
        let (waits, released) = channel();
        for commands in pools.iter().filter_map(WeakCommands::upgrade) {
            let reply = Reply::ThreadEnd {
                _waits: waits.clone(),
            };
            // A refusal means that the I/O thread is gone.
            let _refused = commands.shared().coordinator().drain(reply);
            commands.shared().wake.notify_one();
        }
        drop(waits);
        // A lease that is not released by then ends by its ttl.
        let patience = |pool: &WeakCommands| pool.shared.response_timeout.min(LONGEST);
        let until = start + pools.iter().map(patience).max().unwrap_or_default();
        let left = || until.saturating_duration_since(Instant::now());
        let _ = released.recv_timeout(left());
        // A pool without callers cannot be asked: its thread ends when everything is released.
        for pool in pools.iter().filter(|pool| !pool.has_callers()) {
            let io_thread = pool.shared.io_thread.lock();
            let io_thread = io_thread.unwrap_or_else(PoisonError::into_inner);
            let _ = io_thread.recv_timeout(left());
        }
    }
}

impl Shared {
    pub(super) fn has_thread(&self) -> bool {
        let io_thread = self.io_thread.lock();
        let io_thread = io_thread.unwrap_or_else(PoisonError::into_inner);
        io_thread.try_recv() != Err(TryRecvError::Disconnected)
    }
}
