//! The end of a run: nothing may be left.

use std::time::Duration;

use super::{KEYS, PROCESSES, TTL, World};
use crate::backend::{Attempt, AttemptId, Claim, IfHeld, LeaseId, Op, OwnerIds, Reply};
use crate::clock::Time;
use crate::key::Key;
use crate::label::Label;
use crate::mode::Mode;
use crate::timing;

impl World {
    /// All callers finish, and the network is good: nothing is left as soon as their requests have
    /// arrived.
    pub(in super::super) fn end_soon(&mut self) {
        self.finish_all();
        self.run_until(self.now + Duration::from_millis(30));
        assert!(self.server.is_idle());
    }

    fn finish_all(&mut self) {
        let mut open: Vec<_> = self.calls.keys().copied().collect();
        open.sort_unstable();
        for (process, id) in open {
            self.finish(process, id);
        }
    }

    /// All callers finish; nothing may be left.
    pub(in super::super) fn end(&mut self) {
        self.dark = None;
        self.finish_all();
        self.run_until(self.now + timing::tombstone_life(TTL) * 3);
        for process in &mut self.processes {
            assert!(process.coordinator.is_idle());
            assert_eq!(process.coordinator.wakeup(), Time::NEVER);
            let unanswered = process.extensions.len() + process.releases.len();
            assert_eq!(unanswered, 0, "requests without an answer");
        }
        self.shut_down();
        for key in KEYS {
            self.expect_free(Key::new(key).unwrap());
        }
    }

    /// The key is free, except for the places in the queue that no process was able to give up:
    /// each of those costs one ttl.
    fn expect_free(&mut self, key: Key) {
        let id = AttemptId {
            lease: LeaseId(0),
            number: 0,
        };
        let attempt = Attempt {
            confirmation: None,
            mode: Mode::Exclusive,
            least_token: 0,
            id,
            key,
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
        for _ in 0..=self.abandoned {
            let reply = self.server.execute(self.now, &attempt, PROCESSES, |_| true);
            if let Reply::Granted(_) = reply {
                return;
            }
            self.now = self.now + TTL;
        }
        panic!("left behind");
    }
}
