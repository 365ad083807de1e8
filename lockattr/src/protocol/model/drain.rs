//! From any state, without further faults: everything on its way arrives, every process is on time,
//! holders finish. Then every waiter is served, and in the end nothing is left.
//!
//! This stands for liveness under fairness, which the checker cannot decide by itself.

use std::time::Duration;

use super::process::Call;
use super::world::{TTL, World};
use crate::backend::{Attempt, AttemptId, Claim, Op, Reply};
use crate::backend::{IfHeld, LeaseId, OwnerIds};
use crate::clock::Time;
use crate::label::Label;
use crate::mode::Mode;
use crate::timing;

/// The shortest step of time while processes wait.
const STEP: Duration = Duration::from_millis(1);

/// An attempt of a process outside of the fleet.
const STRANGER: AttemptId = AttemptId {
    lease: LeaseId(0),
    number: 0,
};

impl World {
    pub(super) fn drains(&self) -> bool {
        let mut world = self.clone();
        // Longer than any tombstone, and than any release that is tried again.
        let end = world.now() + timing::tombstone_life(TTL) * 4;
        while world.now() < end {
            world.settle_down();
            if world.is_over() {
                return world.comes_free();
            }
            let wakeup = world.next_wakeup();
            let pause = wakeup.since(world.clock(0)).max(STEP);
            world.drained += pause;
        }
        false
    }

    /// Takes every step that needs no time to pass.
    fn settle_down(&mut self) {
        loop {
            for n in 0..self.processes.len() {
                let process = &self.processes[n];
                if process.is_crashed {
                    continue;
                }
                if process.coordinator.wakeup() <= self.clock(n) {
                    self.wake(n);
                }
                if matches!(self.processes[n].call, Some(Call::Holding { .. })) {
                    self.finish(n);
                }
            }
            let mut is_idle = true;
            for n in 0..self.processes.len() {
                while !self.processes[n].up.is_empty() {
                    self.up(n);
                    is_idle = false;
                }
                while !self.processes[n].down.is_empty() {
                    self.down(n);
                    is_idle = false;
                }
            }
            while let Some((process, attempt)) = self.late.pop() {
                self.execute(process, &attempt);
                is_idle = false;
            }
            if is_idle {
                return;
            }
        }
    }

    fn is_over(&self) -> bool {
        let mut there = self.processes.iter().filter(|process| !process.is_crashed);
        there.all(|process| process.call.is_none() && process.coordinator.unfinished() == 0)
    }

    fn next_wakeup(&self) -> Time {
        let there = self.processes.iter().filter(|process| !process.is_crashed);
        let wakeups = there.map(|process| process.coordinator.wakeup());
        wakeups
            .min()
            .unwrap_or(Time::NEVER)
            .min(self.clock(0) + TTL)
    }

    /// A process outside of the fleet gets the key, after at most one lease and the claims of
    /// killed processes.
    fn comes_free(mut self) -> bool {
        let attempt = Attempt {
            confirmation: None,
            mode: Mode::Exclusive,
            least_token: 0,
            id: STRANGER,
            key: Self::key(),
            owner: OwnerIds::from_bits([99; 16]).first(LeaseId(0)),
            claim: Claim {
                ttl: TTL,
                tokens: 1,
            },
            label: Label::here(),
            op: Op::Acquire {
                ttl: TTL,
                if_held: IfHeld::Queue,
            },
        };
        for _ in 0..=self.processes.len() * 2 {
            let now = self.server_clock();
            let nobody = self.processes.len();
            let reply = self.server.execute(now, &attempt, nobody, |_| true);
            if matches!(reply, Reply::Granted(_)) {
                return true;
            }
            self.drained += TTL;
        }
        false
    }
}
