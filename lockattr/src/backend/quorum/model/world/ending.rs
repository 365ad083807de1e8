//! From any state on, without further faults.

use std::time::Duration;

use super::{Process, State, World};

impl World {
    /// Without further faults all waiters are served, and nothing is left.
    pub(in super::super) fn drains(&self) -> bool {
        let mut world = self.clone();
        world.answers_at_once = true;
        for _ in 0..400 {
            for n in 0..world.processes.len() {
                for server in 0..world.servers.len() {
                    while let Some(attempt) = world.processes[n].up[server].pop_front() {
                        world.execute(n, server, &attempt, false);
                    }
                }
                let calls = &world.processes[n].client.calls;
                let holds = calls
                    .iter()
                    .any(|call| matches!(call.state, State::Holding { .. }));
                if holds && !world.processes[n].is_crashed {
                    world.finish(n);
                }
            }
            let is_idle = |process: &Process| {
                process.is_crashed
                    || process.client.calls.is_empty() && process.client.ballots.is_idle()
            };
            if world.is_still() && world.processes.iter().all(is_idle) {
                return world.seen.left_something || world.are_free();
            }
            world.drained += Duration::from_millis(20);
            for n in 0..world.processes.len() {
                if !world.processes[n].is_crashed
                    && world.processes[n].client.wakeup() <= world.now()
                {
                    world.settle(n);
                }
            }
        }
        false
    }

    fn are_free(&self) -> bool {
        let (now, key) = (self.now(), Self::key());
        self.servers.iter().all(|server| server.is_free(now, &key))
    }
}
