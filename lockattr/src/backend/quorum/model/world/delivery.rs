//! How requests and answers arrive, and what becomes of them when a connection ends.

use super::{State, World};
use crate::backend::{Attempt, AttemptId, BackendError, BackendErrorKind, Event, Failure, Op};

impl World {
    pub(super) fn is_away(&self, server: usize) -> bool {
        self.away_until[server] > self.ticks && self.drained.is_zero()
    }

    pub(super) fn execute(&mut self, n: usize, server: usize, attempt: &Attempt, is_late: bool) {
        let now = self.now();
        if self.is_away(server) {
            if !is_late {
                self.tell(n, server, Event::Done(attempt.id, Err(broken(false))));
            }
            return;
        }
        self.seen.raised |= matches!(attempt.op, Op::Reserve { .. });
        let is_release = matches!(attempt.op, Op::Release { .. });
        let asks = self.processes[n].client.calls.iter();
        let mut states = asks.map(|call| call.state);
        self.seen.given_back |= is_release && states.any(|state| state == State::Asking);
        let mut told = Vec::new();
        let processes = &self.processes;
        let reply = self.servers[server].execute(now, attempt, n, |handoff| {
            let is_there = !processes[handoff.waiter].is_crashed;
            told.extend(is_there.then_some(handoff));
            is_there
        });
        if !is_late {
            self.tell(n, server, Event::Done(attempt.id, Ok(reply)));
        }
        for handoff in told {
            let event = Event::HandedOver {
                owner: handoff.owner,
                granted: handoff.granted,
                since: now,
                ttl: handoff.ttl,
            };
            self.tell(handoff.waiter, server, event);
        }
    }

    /// Sends an answer.
    pub(super) fn tell(&mut self, n: usize, server: usize, event: Event) {
        if self.processes[n].is_crashed {
            return;
        }
        self.processes[n].down[server].push_back(event);
        if self.answers_at_once {
            self.down(n, server);
        }
    }

    pub(super) fn down(&mut self, n: usize, server: usize) {
        let now = self.now();
        let process = &mut self.processes[n];
        let event = process.down[server].pop_front().expect("an answer");
        let ballots = &mut process.client.ballots;
        match event {
            Event::Done(id, outcome) => ballots.on_outcome(now, server, id, outcome),
            Event::HandedOver {
                owner,
                granted,
                since,
                ttl,
            } => ballots.on_handoff(now, server, &owner, granted, (since, ttl)),
            Event::Reconnected | Event::Room => {}
        }
        self.settle(n);
    }

    pub(super) fn break_connection(&mut self, n: usize, server: usize) {
        self.broken = self.broken.saturating_sub(1);
        let process = &mut self.processes[n];
        let sent = std::mem::take(&mut process.up[server]);
        let unanswered = std::mem::take(&mut process.down[server]).into_iter();
        let mut failed: Vec<AttemptId> = sent.iter().map(|attempt| attempt.id).collect();
        failed.extend(unanswered.filter_map(|event| match event {
            Event::Done(id, _) => Some(id),
            _ => None,
        }));
        self.late
            .extend(sent.into_iter().map(|attempt| (n, server, attempt)));
        if self.processes[n].is_crashed {
            return;
        }
        let now = self.now();
        for id in failed {
            let ballots = &mut self.processes[n].client.ballots;
            ballots.on_outcome(now, server, id, Err(broken(true)));
        }
        let desk = &mut self.processes[n].client.ballots.desk;
        desk.give_back_again(now, server);
        self.settle(n);
    }
}

fn broken(maybe_executed: bool) -> Failure {
    let error = BackendError::new(BackendErrorKind::Unreachable, "the connection ended");
    if maybe_executed {
        Failure::outcome_unknown(error)
    } else {
        Failure::not_executed(error)
    }
}
