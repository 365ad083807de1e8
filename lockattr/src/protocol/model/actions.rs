//! The transitions of the model.

use std::mem;

use super::fleet::Fleet;
use super::process::Call;
use super::world::{TTL, World};
use crate::backend::memory::Server;
use crate::backend::{AttemptId, BackendError, BackendErrorKind, Event, Failure};

/// One transition, with everything that a process does at once because of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// A process wants the key.
    Ask(usize),
    /// A holder writes to the resource and has finished, or a waiter leaves.
    Finish(usize),
    /// A process acts on the time: as late as it likes, so pauses are covered.
    Wake(usize),
    /// The next request of a process arrives at the server, and is executed.
    Up(usize),
    /// The next message for a process arrives.
    Down(usize),
    /// The connection of a process ends. The process notices it, and dials again; requests that it
    /// has sent may still arrive, messages to it do not.
    Break(usize),
    /// The server executes a request that was sent on a connection that has ended.
    Late(usize),
    /// The process is killed; what it has sent stays on its way.
    Crash(usize),
    /// The server restarts without its data.
    Forget,
    /// The server's clock is set forward.
    StepClock,
    Tick,
}

impl World {
    pub(super) fn actions(&self, fleet: &Fleet, actions: &mut Vec<Action>) {
        for (n, process) in self.processes.iter().enumerate() {
            if process.is_crashed {
                continue;
            }
            match process.call {
                None if process.calls > 0 => actions.push(Action::Ask(n)),
                None => {}
                Some(_) => actions.push(Action::Finish(n)),
            }
            if process.coordinator.wakeup() <= self.clock(n) {
                actions.push(Action::Wake(n));
            }
            if !process.up.is_empty() {
                actions.push(Action::Up(n));
            }
            if !process.down.is_empty() {
                actions.push(Action::Down(n));
            }
            if self.broken > 0 && !(process.up.is_empty() && process.down.is_empty()) {
                actions.push(Action::Break(n));
            }
            if self.crashes > 0 && process.coordinator.unfinished() > 0 {
                actions.push(Action::Crash(n));
            }
        }
        actions.extend((0..self.late.len()).map(Action::Late));
        if self.forgets > 0 {
            actions.push(Action::Forget);
        }
        if self.steps > 0 {
            actions.push(Action::StepClock);
        }
        if self.ticks < fleet.ticks {
            actions.push(Action::Tick);
        }
    }

    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Ask(n) => self.ask(n),
            Action::Finish(n) => self.finish(n),
            Action::Wake(n) => self.wake(n),
            Action::Up(n) => self.up(n),
            Action::Down(n) => self.down(n),
            Action::Break(n) => self.break_connection(n),
            Action::Late(place) => {
                let (process, attempt) = self.late.remove(place);
                self.execute(process, &attempt);
            }
            Action::Crash(n) => {
                self.crashes -= 1;
                let process = &mut self.processes[n];
                process.is_crashed = true;
                process.call = None;
                process.down.clear();
                let sent = mem::take(&mut process.up);
                self.late
                    .extend(sent.into_iter().map(|attempt| (n, attempt)));
                self.seen.left_something = true;
            }
            Action::Forget => {
                self.forgets -= 1;
                // As in the script: from the clock, which is ahead of all tokens handed out.
                let micros = self.server_clock().as_nanos() / 1000;
                self.server = Server::new(micros);
            }
            Action::StepClock => {
                self.steps -= 1;
                self.ahead += TTL * 100;
            }
            Action::Tick => self.ticks += 1,
        }
    }

    pub(super) fn finish(&mut self, n: usize) {
        let now = self.clock(n);
        let line = self.processes[n].line();
        match self.processes[n].call.take().zip(line) {
            Some((Call::Holding { lease, token, .. }, line)) => {
                self.write(token);
                self.give_back(n, &line, lease);
            }
            Some((Call::Waiting { waiter }, line)) => {
                let coordinator = &mut self.processes[n].coordinator;
                let _left = coordinator.leave(now, &line, waiter);
            }
            None => {}
        }
        self.settle(n);
    }

    pub(super) fn wake(&mut self, n: usize) {
        let now = self.clock(n);
        self.processes[n].coordinator.on_time(now);
        self.settle(n);
    }

    pub(super) fn up(&mut self, n: usize) {
        let attempt = self.processes[n].up.pop_front().expect("a request");
        let reply = self.execute(n, &attempt);
        let event = Event::Done(attempt.id, Ok(reply));
        self.processes[n].down.push_back(event);
    }

    pub(super) fn down(&mut self, n: usize) {
        let event = self.processes[n].down.pop_front().expect("a message");
        self.tell(n, event);
    }

    fn break_connection(&mut self, n: usize) {
        self.broken -= 1;
        let process = &mut self.processes[n];
        let sent = mem::take(&mut process.up);
        let unanswered = mem::take(&mut process.down).into_iter();
        let mut failed: Vec<AttemptId> = sent.iter().map(|attempt| attempt.id).collect();
        failed.extend(unanswered.filter_map(|event| match event {
            Event::Done(id, _) => Some(id),
            _ => None,
        }));
        self.late
            .extend(sent.into_iter().map(|attempt| (n, attempt)));
        for id in failed {
            self.tell(n, Event::Done(id, Err(broken())));
        }
        self.tell(n, Event::Reconnected);
    }

    fn tell(&mut self, n: usize, event: Event) {
        if self.processes[n].is_crashed {
            return;
        }
        let now = self.clock(n);
        self.processes[n].coordinator.on_event(now, event);
        self.settle(n);
    }
}

fn broken() -> Failure {
    Failure {
        maybe_executed: true,
        passing: true,
        error: BackendError::new(BackendErrorKind::Unreachable, "the connection ended"),
    }
}
