//! What may happen next.

use std::time::Duration;

use super::fleet::Fleet;
use super::world::{Call, Message, TTL, World, attempt_id};
use crate::backend::memory::Server;
use crate::backend::{AttemptId, BackendError, BackendErrorKind, Event, Failure};

/// One thing that happens, and what a process does about it at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// A process wants the key.
    Ask(usize),
    /// A holder writes to the resource and is finished, or a waiter has lost interest.
    Finish(usize),
    /// A process notices what time it is: as late as it likes, which is how pauses come in.
    Wake(usize),
    /// A message arrives.
    Deliver(usize),
    /// It is swallowed.
    Lose(usize),
    /// The connection ends with this request on its way: the process hears of it, and the server
    /// may get the request yet.
    Break(usize),
    /// The process is gone; what it has sent stays on its way.
    Crash(usize),
    /// The server starts anew without its data.
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
            if process.keeper.wakeup() <= self.clock(n) {
                actions.push(Action::Wake(n));
            }
            let is_at_work = process.keeper.unfinished() > 0;
            if self.crashes > 0 && is_at_work {
                actions.push(Action::Crash(n));
            }
        }
        for (place, message) in self.network.iter().enumerate() {
            actions.push(Action::Deliver(place));
            if self.lost > 0 {
                actions.push(Action::Lose(place));
            }
            if self.broken > 0 && attempt_id(message).is_some() {
                actions.push(Action::Break(place));
            }
        }
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

    pub(super) fn act(&mut self, _: &Fleet, action: Action) {
        match action {
            Action::Ask(n) => self.ask(n),
            Action::Finish(n) => self.finish(n),
            Action::Wake(n) => self.wake(n),
            Action::Deliver(place) => self.deliver(place),
            Action::Lose(place) => {
                self.lost -= 1;
                self.network.remove(place);
            }
            Action::Break(place) => {
                self.broken -= 1;
                let (process, id) = attempt_id(&self.network[place]).expect("a request");
                let event = Event::Done(id, Err(broken()));
                self.tell(process, event);
                self.tell(process, Event::Reconnected);
            }
            Action::Crash(n) => {
                self.crashes -= 1;
                self.processes[n].is_crashed = true;
                self.processes[n].call = None;
                self.seen.left_something = true;
                let is_for_it =
                    |m: &Message| matches!(m, Message::Event { process, .. } if *process == n);
                self.network.retain(|message| !is_for_it(message));
            }
            Action::Forget => {
                self.forgets -= 1;
                // As the script does it: from the clock, which is ahead of all tokens given out.
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

    fn ask(&mut self, n: usize) {
        let now = self.clock(n);
        let process = &mut self.processes[n];
        process.calls -= 1;
        process.last_call += 1;
        process.call = Some(Call::Waiting);
        let id = process.last_call;
        process.keeper.acquire(now, id, Self::terms(), 1);
        self.settle(n);
    }

    pub(super) fn finish(&mut self, n: usize) {
        if let Some(Call::Holding { token, .. }) = self.processes[n].call {
            self.write(token);
        }
        let now = self.clock(n);
        let process = &mut self.processes[n];
        process.call = None;
        process.keeper.release(now, process.last_call);
        self.settle(n);
    }

    pub(super) fn wake(&mut self, n: usize) {
        let now = self.clock(n);
        self.processes[n].keeper.on_time(now);
        self.settle(n);
    }

    pub(super) fn deliver(&mut self, place: usize) {
        match self.network.remove(place) {
            Message::Request { process, attempt } => self.execute(process, &attempt),
            Message::Event { process, event } => self.tell(process, event),
        }
    }

    fn tell(&mut self, n: usize, event: Event) {
        if self.processes[n].is_crashed {
            return;
        }
        let now = self.clock(n);
        self.processes[n].keeper.on_event(now, event);
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

/// The shortest time that the waiting of a process is let go on for while draining.
pub(super) const STEP: Duration = Duration::from_millis(1);

/// An attempt of nobody in the fleet.
pub(super) const STRANGER: AttemptId = AttemptId {
    acquisition: 0,
    number: 0,
};
