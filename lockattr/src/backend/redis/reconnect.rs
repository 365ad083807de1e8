//! Connections that are lost or silent, and those that take their place.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;
use tracing::{info, warn};

use super::connection::Connection;
use super::hello::Refusal;
use super::link::Alarm;
use super::{RedisBackend, Report, dial, failure};
use crate::backend::{Backend as _, BackendError, Event};

impl RedisBackend {
    /// Gives a connection up, and dials another one.
    pub(super) fn replace(&mut self, link: usize, error: BackendError) {
        let broken = &mut self.links[link];
        // Its socket is closed with it, and what is still asked by it ends.
        broken.connection = None;
        broken.lost_at = Instant::now();
        self.forget(link, &error);
        self.links[link].last_error = error;
        self.redial(link);
        // Another node may have its slots by now.
        self.rediscover();
    }

    /// What was on its way by the connection of this link has an unknown outcome.
    pub(super) fn forget(&mut self, link: usize, error: &BackendError) {
        // The next one may lead to another server, with another clock.
        self.links[link].clocks = None;
        let lost = self.in_flight.extract_if(|_, by| *by == link);
        self.done.extend(lost.map(|(id, _)| {
            let failed = failure::lost_on_the_way(error.clone());
            Event::Done(id, Err(failed))
        }));
    }

    /// Dials, unless that is under way.
    pub(super) fn redial(&mut self, link: usize) {
        let lost = &mut self.links[link];
        if lost.dialling.is_some() || lost.is_retired {
            return;
        }
        lost.generations += 1;
        let generation = lost.generations;
        lost.dialling = Some(generation);
        let pause = dial::pause(lost.failures);
        let channel = lost.channel.clone();
        let (dialer, inbox) = (Arc::clone(&lost.dialer), self.inbox.clone());
        let dial = tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let dialling = dialer.dial(link, generation, inbox.clone(), channel);
            let result = dialling.await;
            // Nobody listens when the pool has ended meanwhile.
            drop(inbox.send(Report::Dialled {
                link,
                generation,
                result,
            }));
        });
        self.links[link].dial = Some(dial.abort_handle());
    }

    pub(super) fn on_dialled(
        &mut self,
        link: usize,
        generation: u64,
        result: Result<Connection, Refusal>,
    ) -> Option<Event> {
        let current = &mut self.links[link];
        if current.dialling != Some(generation) {
            return None;
        }
        current.dialling = None;
        match (result, &current.connection) {
            // The old one was only slow.
            (Ok(_), Some(old)) if !old.is_late(self.response_timeout) => None,
            (Ok(connection), old) => {
                let was_silent = old.is_some();
                if was_silent {
                    warn!(
                        link,
                        "Redis does not answer; another connection took its place"
                    );
                    self.forget(link, &failure::silent());
                }
                let current = &mut self.links[link];
                current.connection = Some(connection);
                current.failures = 0;
                if current.beside.is_some() {
                    // No waiter is told of its lease by this connection.
                    return Some(Event::Room);
                }
                info!(link, "connected to Redis again");
                Some(Event::Reconnected)
            }
            // The old one may answer yet; otherwise its patience ends soon.
            (Err(_), Some(_)) => None,
            (Err(refusal), None) => {
                let error = BackendError::from(refusal);
                current.failures = current.failures.saturating_add(1);
                current.last_error = error.clone();
                self.redial(link);
                self.rediscover();
                warn!(link, %error, "no connection to Redis; trying again");
                // What was held back for it.
                self.flush();
                None
            }
        }
    }

    /// Waits until a link has been silent for too long, and does something about it.
    pub(super) fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let patience = self.response_timeout;
        let wakeups = self.links.iter().filter_map(|link| link.wakeup(patience));
        let Some(next) = wakeups.min() else {
            return Poll::Pending;
        };
        // Too early costs a look, and too late is never.
        if next < self.alarm.deadline() || self.alarm.is_elapsed() {
            self.alarm.as_mut().reset(next);
        }
        ready!(self.alarm.as_mut().poll(cx));
        let now = Instant::now();
        for link in 0..self.links.len() {
            match self.links[link].take_alarm(now, patience) {
                Some(Alarm::Ask) => self.send(link, Vec::new()),
                Some(Alarm::Doubt) => self.redial(link),
                Some(Alarm::GiveUp) => {
                    self.replace(link, failure::silent());
                    warn!(link, "Redis does not answer; dialling anew");
                }
                Some(Alarm::FailHeld) => {
                    let held = std::mem::take(&mut self.links[link].outgoing);
                    self.send(link, held);
                }
                None => {}
            }
        }
        Poll::Ready(())
    }
}
