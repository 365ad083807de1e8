//! What a thread waits for when it ends: the releases that are under way.
//!
//! A process that returns from `main` takes its I/O threads with it, and a runtime drops its last
//! tasks, with the locks that they hold, right before that. So the thread that built a pool (most
//! often the main thread, whose destructors run after `main` has dropped its runtime) gives the
//! I/O thread a moment to hear of the server's answers.

use std::cell::RefCell;
use std::mem;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use super::{Command, WeakCommands};

/// The longest that the end of a thread is held up.
const LONGEST: Duration = Duration::from_millis(500);

thread_local! {
    static BUILT_HERE: BuiltHere = const { BuiltHere(RefCell::new(Vec::new())) };
}

struct BuiltHere(RefCell<Vec<Pool>>);

struct Pool {
    commands: WeakCommands,
    /// Disconnected when the I/O thread is gone.
    io_thread: Receiver<()>,
    patience: Duration,
}

/// Lets the end of this thread wait for the releases of a pool, no longer than one answer takes.
pub(super) fn await_releases(
    commands: WeakCommands,
    io_thread: Receiver<()>,
    response_timeout: Duration,
) {
    let pool = Pool {
        commands,
        io_thread,
        patience: response_timeout.min(LONGEST),
    };
    // A thread that ends already has nothing to wait with.
    let _ending = BUILT_HERE.try_with(|pools| {
        let mut pools = pools.0.borrow_mut();
        pools.retain(Pool::is_alive);
        pools.push(pool);
    });
}

impl Drop for BuiltHere {
    fn drop(&mut self) {
        let start = Instant::now();
        let asked = mem::take(self.0.get_mut())
            .into_iter()
            .filter_map(Pool::ask);
        // All of them are asked before the first is waited for.
        let asked: Vec<_> = asked.collect();
        for (released, patience) in asked {
            let left = patience.saturating_sub(start.elapsed());
            // What is not released by then ends by its ttl.
            let _ = released.recv_timeout(left);
        }
    }
}

impl Pool {
    fn is_alive(&self) -> bool {
        self.io_thread.try_recv() != Err(TryRecvError::Disconnected)
    }

    /// What is disconnected once nothing is being released.
    fn ask(self) -> Option<(Receiver<()>, Duration)> {
        // In a forked process there is nobody to answer.
        self.commands.shared.check_process().ok()?;
        let released = match self.commands.upgrade() {
            Some(commands) => {
                let (waits, released) = channel();
                commands.send(Command::AwaitReleases { waits });
                released
            }
            // Without users the thread ends when it has released everything.
            None => self.io_thread,
        };
        Some((released, self.patience))
    }
}

/// Those who wait until nothing is being released: dropping them says so.
pub(super) type Waits = Vec<Sender<()>>;
