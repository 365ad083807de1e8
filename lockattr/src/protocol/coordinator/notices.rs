//! What follows from a keeper's notices, for the queues and for the callers.

use super::{Caller, Coordinator, Effect, Handover};
use crate::backend::{Granted, LeaseId};
use crate::clock::Time;
use crate::protocol::Notice;

impl<C: Caller, R> Coordinator<C, R> {
    /// Takes in the keeper's notices.
    pub(super) fn settle(&mut self, now: Time) {
        while let Some((id, notice)) = self.keeper.next_notice() {
            self.on_notice(now, id, notice);
        }
    }

    fn on_notice(&mut self, now: Time, id: LeaseId, notice: Notice) {
        let Some(lease) = self.leases.get(&id) else {
            return;
        };
        let line = lease.line.clone();
        let mut asker = if lease.is_granted {
            None
        } else {
            // The lease is asked for on behalf of the first waiter.
            self.queues.first(&line, id, Caller::trace)
        };
        let mut answered = None;
        match &notice {
            Notice::Acquired {
                granted,
                valid_until,
            } => return self.on_acquired(now, id, granted.clone(), *valid_until),
            Notice::Failed(error) => {
                let failures = self.queues.failed(&line, id, error.clone());
                return self.fail(now, failures);
            }
            Notice::Waiting { ends_in, holder } => {
                let held = (*ends_in, holder.clone());
                let (first, failures) = self.queues.held(now, &line, id, held, Caller::trace);
                self.fail(now, failures);
                // The caller was told already.
                if first.is_none() {
                    return;
                }
                asker = first;
            }
            Notice::Trouble(error) => self.queues.troubled(now, &line, id, error.clone()),
            Notice::Renewed {
                contended,
                valid_until,
            } => self.queues.renewed(&line, id, *contended, *valid_until),
            Notice::Reserved(granted) => self.queues.reserved(now, &line, id, granted.clone()),
            Notice::Extended { number, answer } => {
                let request = self.extension(id, *number);
                answered = request.map(|to| (to, answer.clone()));
            }
            Notice::Lost(_) => {
                let order = self.queues.lost(&line, id);
                self.follow(now, order);
            }
            Notice::Withdrawn | Notice::Released | Notice::ReleaseAbandoned => {
                let lease = self.leases.remove(&id);
                let request = lease.and_then(|lease| lease.release);
                answered = request.map(|to| (to, Ok(())));
            }
            Notice::ReleaseDelayed(_) => {
                if let Some(lease) = self.leases.get_mut(&id) {
                    lease.is_delayed = true;
                    let request = lease.release.take();
                    answered = request.map(|to| (to, Ok(())));
                }
            }
            Notice::RenewalFailed(_) | Notice::ReservationFailed(_) => {}
        }
        self.effects.push_back(Effect::Noticed {
            lease: id,
            key: line.key().clone(),
            asker,
            notice,
        });
        let answered = answered.map(|(to, answer)| Effect::Answered { to, answer });
        self.effects.extend(answered);
    }

    /// A lease was granted; it goes to the waiter whose turn it is.
    fn on_acquired(&mut self, now: Time, id: LeaseId, granted: Granted, valid_until: Time) {
        let Some(lease) = self.leases.get_mut(&id) else {
            return;
        };
        lease.is_granted = true;
        let line = lease.line.clone();
        let adopted = self
            .queues
            .adopt(&line, id)
            .and_then(|terms| self.keeper.adopt(now, id, terms));
        let valid_until = adopted.unwrap_or(valid_until);
        match self.queues.granted(now, &line, id, granted, valid_until) {
            Handover::Passed {
                waiter,
                token,
                order,
            } => {
                self.effects.push_back(Effect::Granted {
                    lease: id,
                    waiter,
                    token,
                    valid_until,
                });
                self.follow(now, order);
            }
            Handover::Over { next } => {
                self.keeper.release(now, id);
                self.follow(now, next);
            }
        }
    }

    fn extension(&mut self, id: LeaseId, number: u64) -> Option<R> {
        let extensions = &mut self.leases.get_mut(&id)?.extensions;
        let place = extensions.iter().position(|(asked, _)| *asked == number)?;
        Some(extensions.swap_remove(place).1)
    }
}
