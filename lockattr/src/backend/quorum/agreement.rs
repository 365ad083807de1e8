//! How a majority agrees on fencing tokens.

use super::ballot::Ballot;
use super::desk::Desk;
use super::seat::What;
use crate::backend::Op;
use crate::clock::Time;

/// Whether enough servers grant no later owner a token of ours.
pub(super) enum Agreement {
    Reached,
    Awaited,
    OutOfReach,
}

impl Ballot {
    /// Raises the counters of these servers, until no later owner can get a token up to `last` from a majority.
    pub(super) fn agree(
        &mut self,
        now: Time,
        voted: &[usize],
        last: u64,
        desk: &mut Desk,
    ) -> Agreement {
        let majority = desk.members.majority();
        let agreed = voted
            .iter()
            .filter(|member| self.seats[**member].top >= last);
        let agreed = agreed.count();
        if agreed >= majority {
            return Agreement::Reached;
        }
        let mut awaited = 0;
        for member in voted.iter().copied() {
            if self.seats[member].top < last {
                if self.seats[member].asked.is_none() {
                    self.go_on(now, desk);
                    self.raise(now, member, last, desk);
                }
                awaited += 1;
            }
        }
        if agreed + awaited >= majority {
            Agreement::Awaited
        } else {
            Agreement::OutOfReach
        }
    }

    pub(super) fn raise(&mut self, now: Time, member: usize, last: u64, desk: &mut Desk) {
        let op = Op::Reserve { tokens: 1 };
        self.ask(now, member, (What::Raise, op, last), desk);
    }
}
