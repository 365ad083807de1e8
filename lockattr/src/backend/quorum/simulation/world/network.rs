//! Connections that keep the order, and what becomes of their requests when they end.

use std::time::Duration;

use super::{Message, World};
use crate::backend::Event;

impl World {
    /// A connection ends: requests on it may still arrive, answers do not.
    pub(super) fn cut(&mut self, place: usize, machine: usize) {
        let mut failed = Vec::new();
        let mut random = self.random.fork();
        let kept = std::mem::take(&mut self.network).into_iter();
        for ((mut at, number), mut message) in kept {
            match &mut message {
                Message::Request {
                    from,
                    to,
                    attempt,
                    is_loose,
                    ..
                } if from.0 == place && *to == machine && !*is_loose => {
                    failed.push((*from, attempt.id));
                    *is_loose = true;
                    at = at + Duration::from_millis(random.u64(..400));
                    if random.bool() {
                        continue;
                    }
                }
                Message::Answer {
                    to, from, event, ..
                } if to.0 == place && *from == machine => {
                    if let Event::Done(id, _) = event {
                        failed.push((*to, *id));
                    }
                    continue;
                }
                _ => {}
            }
            self.network.insert((at, number), message);
        }
        for (to, id) in failed {
            let message = Message::Failed {
                to,
                from: machine,
                id,
                maybe_executed: true,
            };
            self.post(Duration::from_millis(1), message);
        }
        self.arrivals.remove(&(place, machine, true));
        self.arrivals.remove(&(place, machine, false));
    }

    pub(super) fn post(&mut self, delay: Duration, message: Message) {
        self.messages += 1;
        self.network
            .insert((self.now + delay, self.messages), message);
    }

    /// Sends on a connection: mostly fast, and always in order.
    pub(super) fn send(
        &mut self,
        place: usize,
        machine: usize,
        is_request: bool,
        message: Message,
    ) {
        let most = if self.machines[machine].slow_until > self.now {
            60_000
        } else {
            1_500
        };
        let delay = Duration::from_micros(50 + self.random.u64(..most));
        let last = self
            .arrivals
            .entry((place, machine, is_request))
            .or_insert(self.now);
        *last = (*last).max(self.now + delay);
        let delay = last.since(self.now);
        self.post(delay, message);
    }
}
