//! Performs the coordinator's effects: answers calls, and reports what happens to their leases.

use std::sync::Arc;

use super::call::Check;
use super::observe::{self, observe};
use super::run::Driver;
use super::tenure::Tenure;
use super::{Call, Effect, WaitingCall, wake};
use crate::backend::LeaseId;
use crate::clock::Time;
use crate::key::Key;
use crate::protocol::{LineName, Notice, Waiter};

impl<B> Driver<B> {
    pub(super) fn perform(&mut self, now: Time, effect: Effect) {
        match effect {
            Effect::Granted {
                lease,
                waiter,
                token,
                valid_until,
            } => self.grant(lease, &waiter, token, valid_until),
            Effect::Refused { waiter, error } => {
                let key = waiter.key().clone();
                let shared = &self.commands.shared;
                waiter.caller.refuse(shared, &key, error);
            }
            Effect::Noticed {
                lease,
                key,
                asker,
                notice,
            } => self.notice(lease, &key, asker, &notice),
            Effect::CheckOffer { lease, line } => self.check_offer(now, lease, &line),
            Effect::Answered { to, answer } => to.send(answer),
        }
    }

    fn grant(
        &mut self,
        lease: LeaseId,
        waiter: &Waiter<WaitingCall>,
        token: u64,
        valid_until: Time,
    ) {
        let commands = self.commands.clone();
        let what = (waiter.line(), waiter.mode());
        let tenure = Tenure::new(lease, what, valid_until, commands);
        let tenure = Arc::new(tenure);
        self.tenures.insert(lease, Arc::clone(&tenure));
        // Every `Commands` handle is gone, so nobody can receive the grant.
        let Some(commands) = self.commands.upgrade() else {
            let mut coordinator = self.commands.shared.coordinator();
            let given_up = (lease, false);
            let _over =
                coordinator.release(self.commands.now(), tenure.line(), given_up, &mut None);
            return;
        };
        match commands.deliver(&tenure, waiter, token) {
            Ok(waker) => wake(waker),
            Err(_gone) => commands.hand_over(&tenure, false, None),
        }
    }

    fn notice(&mut self, lease: LeaseId, key: &Key, asker: Option<Arc<Call>>, notice: &Notice) {
        let tenure = self.tenures.get(&lease);
        let call = match tenure {
            Some(tenure) => tenure.holder().map(|(call, token)| (call, Some(token))),
            None => asker.map(|call| (call, None)),
        };
        let call = call.as_ref().map(|(call, token)| (&**call, *token));
        observe(&self.commands.shared, call, key, notice);
        match (notice, tenure) {
            (Notice::Renewed { valid_until, .. }, Some(tenure)) => tenure.prolong(*valid_until),
            (Notice::Lost(reason), Some(tenure)) => tenure.end(*reason),
            (Notice::Withdrawn | Notice::Released | Notice::ReleaseAbandoned, _) => {
                self.tenures.remove(&lease);
            }
            _ => {}
        }
    }

    /// Takes back a lease whose caller did not poll for a claim window; the next waiter gets it.
    fn check_offer(&mut self, now: Time, lease: LeaseId, line: &LineName) {
        let tenure = self.tenures.get(&lease);
        let Some((holder, _)) = tenure.and_then(|tenure| tenure.holder()) else {
            return;
        };
        let claim_window = self.commands.shared.coordinator().claim_window();
        match holder.take_back(now, claim_window) {
            Check::Over => {}
            Check::Since(since) => {
                let mut coordinator = self.commands.shared.coordinator();
                coordinator.check_offer(line, lease, since);
            }
            Check::TakenBack(grant) => {
                observe::missed(&self.commands.shared, &holder, line.key());
                // Acts as if its holder had finished.
                drop(grant);
            }
        }
    }
}
