//! Waits that are over, and the errors that their callers get.

use std::collections::BTreeMap;

use super::{Failures, LineName, LocalQueues};
use crate::clock::Time;

impl<C> LocalQueues<C> {
    /// When [`expire`](Self::expire) or [`offers_due`](Self::offers_due) is due.
    pub(crate) fn next_deadline(&self) -> Time {
        first(&self.deadlines).min(first(&self.offers))
    }

    /// Ends the waits whose deadline has passed.
    pub(crate) fn expire(&mut self, now: Time) -> Failures<C> {
        let mut failures = Failures::none();
        while let Some((&(at, id), name)) = self.deadlines.first_key_value() {
            if at > now {
                break;
            }
            let name = name.clone();
            self.deadlines.pop_first();
            self.wait_is_over(now, &name, id, &mut failures);
        }
        failures
    }

    fn wait_is_over(&mut self, now: Time, name: &LineName, id: u64, failures: &mut Failures<C>) {
        let Some(line) = self.lines.get_mut(name) else {
            return;
        };
        let awaits_answer = line.awaits_first_answer();
        if let Some(front) = line.waiting.front_mut()
            && front.id == id
            && awaits_answer
            && !front.is_last_chance
        {
            front.is_last_chance = true;
            let patience = front.terms.patience(self.limits.response_timeout);
            front.until = now + patience;
            let until = front.until;
            self.set_deadline(until, id, name);
            return;
        }
        self.refuse(now, name, id, failures);
    }

    pub(super) fn refuse_last_chance(
        &mut self,
        now: Time,
        name: &LineName,
        failures: &mut Failures<C>,
    ) {
        let front = self.lines.get(name).and_then(|line| line.waiting.front());
        if let Some(front) = front.filter(|front| front.is_last_chance) {
            let id = front.id;
            self.refuse(now, name, id, failures);
        }
    }

    fn refuse(&mut self, now: Time, name: &LineName, id: u64, failures: &mut Failures<C>) {
        let Some(waiter) = self.remove(name, id) else {
            return;
        };
        if let Some(line) = self.lines.get(name) {
            let reason = line.reason(now, &waiter);
            failures.callers.push((waiter, reason));
        }
        failures.orders.extend(self.withdraw_if_deserted(name));
    }

    pub(super) fn set_deadline(&mut self, until: Time, id: u64, name: &LineName) {
        if until != Time::NEVER {
            self.deadlines.insert((until, id), name.clone());
        }
    }
}

fn first<T: Ord>(times: &BTreeMap<(Time, T), LineName>) -> Time {
    let first = times.first_key_value();
    first.map_or(Time::NEVER, |((at, _), _)| *at)
}
